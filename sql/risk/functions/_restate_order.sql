-- An existing order as the controls see it.
create or replace function risk._restate_order(p_row oms.orders)
returns risk.order_request
language plpgsql
stable
as $$
declare
    v risk.order_request;
begin
    v := jsonb_populate_record(null::risk.order_request, to_jsonb(p_row));
    select s.strategy, i.symbol, i.sector into v.strategy, v.symbol, v.sector
    from signal.strategies s, ref.instruments i
    where s.strategy_id = p_row.strategy_id and i.instrument_id = p_row.instrument_id;
    select e.venue into v.venue from ref.venues e where e.venue_id = p_row.venue_id;
    v.authorisation_id := (select a.authorisation_id from risk.authorisations a where a.order_id = p_row.order_id);
    return v;
end
$$;
comment on function risk._restate_order(oms.orders) is 'An existing order as the controls see it.';
