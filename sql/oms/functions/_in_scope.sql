-- The live and held orders whose attributes contain a scope: see oms.cancel_all.
create or replace function oms._in_scope(p_scope jsonb)
returns setof oms.orders
language sql
stable
as $$
    select o.*
    from oms.orders o
    join signal.strategies s using (strategy_id)
    join ref.instruments i using (instrument_id)
    left join ref.venues v using (venue_id)
    where (o.is_live or o.status = 'held')
        and jsonb_build_object('session_id', o.session_id, 'account', o.account, 'strategy', s.strategy,
            'symbol', i.symbol, 'venue', v.venue, 'sector', i.sector, 'side', o.side, 'trader', o.trader) @> p_scope
$$;
comment on function oms._in_scope(jsonb) is 'The live and held orders of a scope.';
