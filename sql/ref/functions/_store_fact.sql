-- Writes a complete fact as the current version of its key. Raises TT001 for one that cannot be, and
-- TT006 for one that contradicts another (ref.fact_kinds.alone_columns).
create or replace function ref._store_fact(p_kind ref.fact_kinds, p_fact jsonb)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_same text;
    v_other jsonb;
    v_column text;
    v_inner text[] := '{known_at,superseded_at,recorded_at,source}';
begin
    if p_kind.alone_columns is not null then
        select string_agg(format('f.%1$I = r.%1$I', c), ' and ') into v_same
        from unnest(p_kind.alone_columns) c;
        execute format(
            'select to_jsonb(f)
             from ref.%1$I f, jsonb_populate_record(null::ref.%1$I, $1) r
             where %2$s and f.superseded_at = ''infinity''
                 and f.valid_from < r.valid_to and r.valid_from < f.valid_to
             limit 1', p_kind.kind, v_same) into v_other using p_fact;
    end if;
    if v_other is not null then
        raise exception '%: % contradicts %', p_kind.kind, p_fact - v_inner, v_other - v_inner
            using errcode = 'TT006';
    end if;
    execute format(
        'insert into ref.%1$I select r.* from jsonb_populate_record(null::ref.%1$I, $1) r',
        p_kind.kind) using p_fact;
exception
    when not_null_violation then
        get stacked diagnostics v_column = column_name;
        raise exception '%: % is missing', p_kind.kind, v_column using errcode = 'TT001';
    when check_violation or foreign_key_violation then
        get stacked diagnostics v_column = constraint_name;
        raise exception '%: % breaks the rule %', p_kind.kind, p_fact - v_inner, v_column
            using errcode = 'TT001';
end
$$;
