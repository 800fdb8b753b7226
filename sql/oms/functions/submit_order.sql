-- Submits one order: a basket of one.
create or replace function oms.submit_order(p_order jsonb, p_request_id uuid, p_as_of timestamptz)
returns table (order_id bigint, status text, reasons text[])
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return query select * from oms.submit_basket(jsonb_build_array(p_order), p_request_id, p_as_of);
end
$$;
comment on function oms.submit_order(jsonb, uuid, timestamptz) is
    'Submits an order after every pre-trade control, in one transaction; idempotent by request id. Keys of p_order: session_id, account, strategy, origin (signal with signal_id, signal_as_of, signal_leg; parent with parent_order_id; plan with plan_id; operator with operator), symbol or instrument_id, side (buy, sell, sell_short), quantity, order_type (market, limit, stop, stop_limit, pegged), limit_price, stop_price, peg_reference (primary, midpoint, market), peg_offset, time_in_force (day, gtc, gtd with expire_at, ioc, fok, at_open, at_close; default day), post_only, display_quantity, min_quantity, reduce_only, venue (default: the first), is_parent (worked by children, without a venue), trader, client_ref, pair_id, authorisation_id (of a second person, risk.authorise_order), tags; in a basket also contingent_on (the earlier leg whose fills release this one, from 1) and oco (name of a group of which only one fills). p_as_of: session time. Status pending_new, held, new for a parent, or denied with reasons. Errors: TT001 unusable or unknown key, TT002 unknown name, TT003 isolation level, TT006 request id reused with another order.';
grant execute on function oms.submit_order(jsonb, uuid, timestamptz) to tsdb_trader_role;
