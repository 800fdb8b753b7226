-- Whether p_chunk of p_table, with p_from <= time < p_to, has rows that a rollup has not materialised
-- yet: dropped now, they would be missing in bars. Bars that were dropped themselves miss nothing.
create or replace function market._awaits_rollup(
    p_table text, p_chunk regclass, p_from timestamptz, p_to timestamptz
)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_time text := case when p_table like 'market.\_bars\_%' then 'bucket' else 'ts' end;
    v_view record;
    v_awaits boolean;
begin
    if exists (
        select from market.rollups r
        join market.rollup_invalidations i on i.rollup = r.rollup
        left join market.retention t on t.hypertable = format('market.%I', '_' || r.rollup)
        where r.source = p_table and (t.dropped_before >= p_to) is not true
            and i.from_bucket < p_to and i.to_bucket > p_from)
    then
        return true;
    end if;
    -- Community edition: rows beyond the watermark, or in TimescaleDB's own logs of changes, which
    -- have microseconds since 1970 (and an entry without an end for what is beyond the watermark).
    for v_view in
        select v.mat_hypertable_id as id, v.raw_hypertable_id as source_id
        from market.rollups r
        join _timescaledb_catalog.continuous_agg v
            on v.user_view_schema = 'market' and v.user_view_name = '_' || r.rollup
        left join market.retention t on t.hypertable = format('market.%I', '_' || r.rollup)
        where r.native and r.source = p_table and (t.dropped_before >= p_to) is not true
    loop
        execute format('select exists (select from %s where %I >= %L)', p_chunk, v_time,
                       _timescaledb_functions.to_timestamp(
                           _timescaledb_functions.cagg_watermark(v_view.id)))
        into v_awaits;
        if v_awaits or exists (
            select from (
                select l.lowest_modified_value, l.greatest_modified_value
                from _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log l
                where l.hypertable_id = v_view.source_id
                union all
                select l.lowest_modified_value, l.greatest_modified_value
                from _timescaledb_catalog.continuous_aggs_materialization_invalidation_log l
                where l.materialization_id = v_view.id and l.greatest_modified_value < 9e18
            ) l (first, last)
            where l.first < extract(epoch from p_to) * 1000000
                and l.last >= extract(epoch from p_from) * 1000000)
        then
            return true;
        end if;
    end loop;
    return false;
end
$$;
