-- Materialises the noted buckets before p_until (all of them by default) of every rollup that
-- TimescaleDB does not keep itself, the lowest level first; returns how many spans of buckets were
-- computed anew. For the scheduler; several callers at once queue up.
create or replace function market.refresh_rollups(p_until timestamptz default 'infinity')
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rollup market.rollups;
    v_span tstzrange;
    v_spans tstzmultirange;
    v_done integer := 0;
    v_table text;
    v_time text;
    v_slice interval;
begin
    for v_rollup in
        select r.* from market.rollups r
        where not r.native order by r.level, r.rollup for no key update
    loop
        v_table := format('market.%I', '_' || v_rollup.rollup);
        v_time := case v_rollup.level when 1 then 'ts' else 'bucket' end;
        -- Spans are computed piece by piece, so that a load of years needs no more memory or disk
        -- to sort than a load of a day.
        v_slice := greatest(v_rollup.bucket * 3600, interval '1 day');
        with taken as (
            delete from market.rollup_invalidations i
            where i.rollup = v_rollup.rollup and i.from_bucket < p_until
            returning i.from_bucket, i.to_bucket
        ),
        cut as (
            select t.from_bucket, t.to_bucket,
                   case when p_until = 'infinity' then t.to_bucket
                        else least(t.to_bucket, market._bucket_of(
                            v_rollup.bucket, p_until, v_rollup.timezone)) end as upto
            from taken t
        ),
        kept as (
            insert into market.rollup_invalidations (rollup, from_bucket, to_bucket)
            select v_rollup.rollup, greatest(c.from_bucket, c.upto), c.to_bucket
            from cut c where c.upto < c.to_bucket
        )
        select range_agg(tstzrange(c.from_bucket, c.upto)) into v_spans
        from cut c where c.from_bucket < c.upto;
        -- One by one because a literal span lets the planner skip chunks.
        for v_span in
            select p.span * tstzrange(s.from_bucket, market._bucket_end(
                       s.from_bucket, v_slice, v_rollup.timezone))
            from unnest(v_spans) p (span)
            cross join lateral generate_series(
                market._bucket_of(v_slice, lower(p.span), v_rollup.timezone),
                upper(p.span), v_slice) s (from_bucket)
        loop
            continue when isempty(v_span);
            -- Later statements than the one that took the notes: they see every tick noted.
            execute format('delete from %s where bucket >= %L and bucket < %L',
                           v_table, lower(v_span), upper(v_span));
            execute format(
                'insert into %1$s %2$s where %6$s >= %3$L and %6$s < %4$L%5$s',
                v_table, v_rollup.query, lower(v_span), upper(v_span), v_rollup.grouping, v_time);
            v_done := v_done + 1;
        end loop;
    end loop;
    return v_done;
end
$$;
comment on function market.refresh_rollups(timestamptz) is
    'Materialises the noted buckets of rollups before a time; returns the number of spans computed anew.';
grant execute on function market.refresh_rollups(timestamptz) to tsdb_worker_scheduler;
