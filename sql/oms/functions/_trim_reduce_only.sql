-- Cancels the reduce-only orders that a position has become too small for, newest first, in the
-- transaction that booked the fill. The caller holds the account's lock.
create or replace function oms._trim_reduce_only(
    p_session_id uuid,
    p_account text,
    p_instrument_id integer,
    p_as_of timestamptz
) returns void
language plpgsql
as $$
declare
    v_order oms.orders;
    v_position numeric;
    v_room numeric;
begin
    if not exists (
        select from oms.orders o
        where o.session_id = p_session_id and o.account = p_account and o.instrument_id = p_instrument_id
            and o.is_live and o.reduce_only) then
        return;
    end if;
    select coalesce(sum(p.quantity), 0) into v_position from portfolio._positions p
    where p.session_id = p_session_id and p.account = p_account and p.instrument_id = p_instrument_id;
    v_room := abs(v_position);
    for v_order in
        select o.* from oms.orders o
        where o.session_id = p_session_id and o.account = p_account and o.instrument_id = p_instrument_id
            and o.is_live and o.reduce_only
        order by o.order_id for update
    loop
        if (v_order.side = 'buy') = (v_position < 0) and oms._exposed(v_order) <= v_room then
            v_room := v_room - oms._exposed(v_order);
        else
            perform oms._cancel(v_order, null, p_as_of);
        end if;
    end loop;
end
$$;
comment on function oms._trim_reduce_only(uuid, text, integer, timestamptz) is
    'Cancels reduce-only orders that exceed the position.';
