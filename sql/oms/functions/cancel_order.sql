-- Asks the venue to cancel an order. An order that can no longer be cancelled is returned as it is,
-- with the reason; one being cancelled already is returned and not asked for again. A held order is
-- cancelled at once; a parent with its children. Arguments as in oms.cancel_all.
-- Errors: TT001 no request id; TT002 unknown order; TT003 isolation level; TT006 request id reused.
create or replace function oms.cancel_order(
    p_order_id bigint,
    p_request_id uuid default gen_random_uuid(),
    p_as_of timestamptz default null
) returns table (order_id bigint, status text, reasons text[])
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_order constant oms.orders := oms._lock_order(p_order_id);
    v_reasons text[] := '{}';
begin
    perform ops._audit('oms.cancel_order', p_order_id::text,
        jsonb_build_object('request_id', p_request_id, 'as_of', p_as_of));
    if oms._claim_request(p_request_id, 'cancel', p_order_id::text) then
        v_reasons := oms._cancel(v_order, p_request_id, p_as_of);
    end if;
    return query
        select o.order_id, o.status, v_reasons from oms.orders o where o.order_id = p_order_id;
end
$$;
comment on function oms.cancel_order(bigint, uuid, timestamptz) is
    'Requests the cancellation of an order; idempotent by request id, if one is given. reasons says why nothing was asked of the venue. Errors: TT001 no request id, TT002 unknown order, TT003 isolation level, TT006 request id reused.';
grant execute on function oms.cancel_order(bigint, uuid, timestamptz) to tsdb_trader_role;
