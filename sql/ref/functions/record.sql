-- Records a fact of ref.fact_kinds, such as a split, a dividend or a symbol; the only way to write
-- them.
--
-- p_fact holds columns of the table: {"symbol": "AAPL", "ex_date": "2014-06-09", "new_shares": 7}.
-- "symbol" (in ref.symbols itself: "instrument") is resolved as of valid_from or ex_date;
-- "instrument_id" may stand in its place. "child" of spin_offs is resolved if it is known here.
-- What is left out has its default (ref.fact_kinds), or its value in the fact that is corrected.
-- The same key with other values is a correction: the former row is superseded, never changed.
-- {"withdrawn": true} with the key takes a fact back.
-- p_known_at: from when on one could know it, now by default. A correction cannot be known before
-- what it corrects: with an earlier p_known_at it is known from now on.
-- Returns recorded, unchanged, corrected or withdrawn. Raises TT001 for what cannot be a fact, TT002
-- for unknown names, TT006 for claims that contradict each other: one symbol of two instruments,
-- one member twice.
create or replace function ref.record(
    p_kind text, p_fact jsonb, p_known_at timestamptz default null
)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_kind ref.fact_kinds;
    v_fact jsonb;
    v_match text;
    v_missing text;
    v_old jsonb;
    v_new jsonb;
    v_last timestamptz;
    v_known_at timestamptz := coalesce(p_known_at, clock_timestamp());
    v_no_facts text[] := '{known_at,superseded_at,recorded_at,source,withdrawn}';
begin
    perform ops._audit('ref.record', p_kind, jsonb_build_object('fact', p_fact, 'known_at', p_known_at));
    select k.* into v_kind from ref.fact_kinds k where k.kind = p_kind;
    if v_kind.kind is null then
        raise exception 'no facts called %: there are %', coalesce(p_kind, 'null'),
            (select string_agg(k.kind, ', ' order by k.kind) from ref.fact_kinds k)
            using errcode = 'TT001';
    end if;
    if p_known_at > clock_timestamp() or not isfinite(p_known_at) then
        raise exception '%: known_at % cannot be', p_kind, p_known_at using errcode = 'TT001';
    end if;
    v_fact := ref._resolve_fact(p_kind, p_fact);
    select string_agg(c, ', ') into v_missing
    from unnest(v_kind.key_columns) c where (v_kind.defaults || v_fact)->>c is null;
    if v_missing is not null then
        raise exception '%: % is missing', p_kind, v_missing using errcode = 'TT001';
    end if;
    -- Writers queue, so that two of them cannot make contradicting claims.
    execute format('lock table ref.%I in share row exclusive mode', p_kind);
    select string_agg(format('f.%1$I = r.%1$I', c), ' and ') into v_match
    from unnest(v_kind.key_columns) c;
    execute format(
        'select max(case when f.superseded_at = ''infinity'' then f.known_at
                    else f.superseded_at end),
                (jsonb_agg(to_jsonb(f)) filter (where f.superseded_at = ''infinity''))->0
         from ref.%1$I f, jsonb_populate_record(null::ref.%1$I, $1) r
         where %2$s', p_kind, v_match)
    into v_last, v_old using v_kind.defaults || v_fact;
    execute format('select to_jsonb(jsonb_populate_record(null::ref.%I, $1))', p_kind)
    into v_new using v_kind.defaults || coalesce(v_old, '{}') || v_fact;
    if v_old is null and (v_fact->>'withdrawn')::boolean then
        raise exception '%: there is nothing to withdraw of %', p_kind, p_fact
            using errcode = 'TT002';
    end if;
    if v_new - v_no_facts = v_old - v_no_facts and not coalesce((v_fact->>'withdrawn')::boolean, false)
    then
        return 'unchanged';
    end if;
    if v_known_at <= v_last then
        v_known_at := clock_timestamp();
    end if;
    execute format(
        'update ref.%1$I f set superseded_at = $2
         from jsonb_populate_record(null::ref.%1$I, $1) r
         where %2$s and f.superseded_at = ''infinity''', p_kind, v_match)
    using v_new, v_known_at;
    if (v_fact->>'withdrawn')::boolean then
        return 'withdrawn';
    end if;
    perform ref._store_fact(v_kind, v_new || jsonb_build_object(
        'known_at', v_known_at, 'superseded_at', 'infinity',
        'recorded_at', clock_timestamp(), 'source', coalesce(v_fact->>'source', '')));
    return case when v_old is null then 'recorded' else 'corrected' end;
exception
    when data_exception then
        raise exception '%: %: %', p_kind, sqlerrm, p_fact using errcode = 'TT001';
end
$$;
comment on function ref.record(text, jsonb, timestamptz) is
    'Records a fact (a split, a dividend, a symbol ...) or corrects it; the former version stays readable as of its time.';
grant execute on function ref.record(text, jsonb, timestamptz) to tsdb_ops;
