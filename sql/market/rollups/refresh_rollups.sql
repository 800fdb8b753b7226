-- Materialises the noted buckets before p_until (all of them by default) of every rollup that
-- TimescaleDB does not keep itself; returns how many spans of buckets were computed anew. For the
-- scheduler; several callers at once queue up.
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
begin
    for v_rollup in
        select r.* from market.rollups r where not r.native order by r.rollup for no key update
    loop
        v_table := format('market.%I', '_' || v_rollup.rollup);
        with taken as (
            delete from market.rollup_invalidations i
            where i.rollup = v_rollup.rollup and i.from_bucket < p_until
            returning i.from_bucket, i.to_bucket
        ),
        cut as (
            select t.from_bucket, t.to_bucket,
                   case when p_until = 'infinity' then t.to_bucket
                        else least(t.to_bucket,
                                   public.time_bucket(v_rollup.bucket, p_until)) end as upto
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
        for v_span in select unnest(v_spans) loop
            -- Later statements than the one that took the notes: they see every tick noted.
            execute format('delete from %s where bucket >= %L and bucket < %L',
                           v_table, lower(v_span), upper(v_span));
            execute format(
                'insert into %s %s where ts >= %L and ts < %L%s',
                v_table, v_rollup.query, lower(v_span), upper(v_span), v_rollup.grouping);
            v_done := v_done + 1;
        end loop;
    end loop;
    return v_done;
end
$$;
comment on function market.refresh_rollups(timestamptz) is
    'Materialises the noted buckets of rollups before a time; returns the number of spans computed anew.';
grant execute on function market.refresh_rollups(timestamptz) to tsdb_worker;
