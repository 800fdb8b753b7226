-- Whether every price of an order is a multiple of the tick size there. p_reference: what a peg is about.
create or replace function risk._is_on_tick(p_order risk.order_request, p_reference numeric, p_as_of timestamptz)
returns boolean
language plpgsql
stable
as $$
declare
    v_date constant date := (p_as_of at time zone 'UTC')::date;
begin
    return (p_order.limit_price is null
            or mod(p_order.limit_price, ref.tick_size(p_order.instrument_id, p_order.limit_price, v_date)) = 0)
        and (p_order.stop_price is null
            or mod(p_order.stop_price, ref.tick_size(p_order.instrument_id, p_order.stop_price, v_date)) = 0)
        -- Without a reference the order is denied for that.
        and (coalesce(p_order.peg_offset, 0) = 0 or p_reference is null
            or mod(p_order.peg_offset, ref.tick_size(p_order.instrument_id, p_reference, v_date)) = 0);
end
$$;
comment on function risk._is_on_tick(risk.order_request, numeric, timestamptz) is
    'Whether every price of an order is a multiple of the tick size there.';
