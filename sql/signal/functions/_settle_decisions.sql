-- What becomes of the decisions of a batch: one that would hold a leg whose instrument is not active is
-- refused, then each portfolio of the session takes its own.
create or replace function signal._settle_decisions(p_batch market.batches, p_decisions signal.decision[])
returns signal.decision[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_decisions signal.decision[];
    v_portfolio signal.portfolios;
begin
    select array_agg(row(d.strategy_id, d.instance_id, d.event, d.target, d.spread, d.z_score, d.instruments,
                         d.quantities, b.reason is null, b.reason)::signal.decision order by d.instance_id)
    into v_decisions
    from unnest(p_decisions) d
    left join lateral (
        select 'status: ' || string_agg(i.symbol || ' is ' || i.status, ', ' order by i.symbol) as reason
        from ref.instruments i
        where i.instrument_id = any (d.instruments) and i.status <> 'active'
            and exists (select from unnest(d.quantities) u (quantity) where u.quantity <> 0)
        having count(*) > 0) b on true;
    for v_portfolio in
        select f.* from signal.portfolios f
        where f.session_id = p_batch.session_id
            and f.strategy_id in (select d.strategy_id from unnest(v_decisions) d)
        order by f.strategy_id
    loop
        v_decisions := array(select d from unnest(v_decisions) d where d.strategy_id <> v_portfolio.strategy_id)
            || signal._apply_portfolio(p_batch, v_portfolio, array(
                select d from unnest(v_decisions) d where d.strategy_id = v_portfolio.strategy_id));
    end loop;
    return v_decisions;
end
$$;
comment on function signal._settle_decisions(market.batches, signal.decision[]) is
    'What becomes of the decisions of a batch: blocked legs and portfolios.';
