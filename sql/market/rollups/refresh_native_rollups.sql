-- Refreshes the rollups that TimescaleDB keeps itself, up to p_until (wholly by default), the lowest
-- level first, so that a load's late ticks show at once and not only after the next run of
-- TimescaleDB's own policy. A procedure, because a continuous aggregate is refreshed outside of
-- transactions: call it on its own. Only owners may refresh; for any other caller the policy does,
-- and this does nothing. Without a set clause, with which a procedure runs in a transaction.
create or replace procedure market.refresh_native_rollups(p_until timestamptz default 'infinity')
language plpgsql
as $$
declare
    v_rollup record;
begin
    for v_rollup in
        -- Where the source was dropped, a refresh would take the bars away too.
        select c.oid::pg_catalog.regclass as rollup, t.dropped_before
        from market.rollups r
        join pg_catalog.pg_class c
            on c.oid = pg_catalog.to_regclass(pg_catalog.format('market.%I', '_' || r.rollup))
        left join market.retention t on t.hypertable = r.source
        where r.native and pg_catalog.pg_has_role(c.relowner, 'usage')
        order by r.level, r.rollup
    loop
        call public.refresh_continuous_aggregate(
            v_rollup.rollup, v_rollup.dropped_before, nullif(p_until, timestamptz 'infinity'));
    end loop;
end
$$;
comment on procedure market.refresh_native_rollups(timestamptz) is
    'Refreshes rollups that TimescaleDB keeps itself, now and not at its next policy run; for their owner, outside of transactions.';
grant execute on procedure market.refresh_native_rollups(timestamptz) to tsdb_worker_scheduler;
