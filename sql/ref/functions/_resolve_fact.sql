-- A fact as ref.record takes it, with names turned into ids: only columns of its table are left, and
-- source and withdrawn. Raises TT001 for a key that means nothing, TT002 for an unknown name.
create or replace function ref._resolve_fact(p_kind text, p_fact jsonb)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    -- In ref.symbols, symbol is the claim itself.
    v_name text := case p_kind when 'symbols' then 'instrument' else 'symbol' end;
    v_columns text[];
    v_known text[];
    v_unknown text;
    v_id integer;
    v_on date;
begin
    if jsonb_typeof(p_fact) is distinct from 'object' then
        raise exception '%: a fact is an object of columns', p_kind using errcode = 'TT001';
    end if;
    select array_agg(a.attname::text order by a.attnum) into v_columns
    from pg_attribute a
    where a.attrelid = format('ref.%I', p_kind)::regclass and a.attnum > 0
        and a.attname not in ('known_at', 'superseded_at', 'recorded_at');
    v_known := v_columns || 'withdrawn'::text;
    if 'instrument_id' = any (v_columns) then
        v_known := v_known || v_name;
    end if;
    select string_agg(k.key, ', ') into v_unknown
    from jsonb_object_keys(p_fact) k (key) where k.key <> all (v_known);
    if v_unknown is not null then
        raise exception '%: unknown %: there is %', p_kind, v_unknown,
            array_to_string(v_known, ', ') using errcode = 'TT001';
    end if;
    v_on := coalesce(p_fact->>'ex_date', p_fact->>'valid_from', p_fact->>'date')::date;
    if v_on is null then
        raise exception '%: % is missing', p_kind,
            case when 'ex_date' = any (v_columns) then 'ex_date'
                when 'date' = any (v_columns) then 'date' else 'valid_from' end
            using errcode = 'TT001';
    end if;
    if p_fact ? v_name and 'instrument_id' = any (v_columns) then
        v_id := case p_kind
            when 'symbols' then ref.instrument_id(p_fact->>v_name)
            else ref.instrument_id(p_fact->>v_name, v_on) end;
        if (p_fact->>'instrument_id')::integer <> v_id then
            raise exception '%: % is instrument %, not %', p_kind, p_fact->>v_name, v_id,
                p_fact->>'instrument_id' using errcode = 'TT001';
        end if;
        p_fact := p_fact - v_name || jsonb_build_object('instrument_id', v_id);
    end if;
    if p_kind = 'spin_offs' and p_fact ? 'child' and not p_fact ? 'child_instrument_id' then
        v_id := ref._find_instrument(p_fact->>'child', v_on);
        if v_id is not null then
            p_fact := p_fact || jsonb_build_object('child_instrument_id', v_id);
        end if;
    end if;
    return p_fact;
end
$$;
