-- Asks the venue to cancel an order. An order that can no longer be cancelled is returned as it is,
-- with the reason; one being cancelled already is returned and not asked for again.
-- Errors: TT001 no request id; TT002 unknown order; TT003 isolation level; TT006 request id reused.
create or replace function oms.cancel_order(p_order_id bigint, p_request_id uuid, p_as_of timestamptz)
returns table (order_id bigint, status text, reasons text[])
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_order oms.orders;
    v_reasons text[] := '{}';
begin
    perform oms._require_read_committed();
    select * into v_order from oms.orders o where o.order_id = p_order_id;
    if not found then
        raise exception 'order % does not exist', p_order_id using errcode = 'TT002';
    end if;
    perform oms._lock_account(v_order.session_id, v_order.account);
    select * into v_order from oms.orders o where o.order_id = p_order_id for update;
    if oms._claim_request(p_request_id, 'cancel', p_order_id::text) then
        if exists (select from oms.order_actions a
                   where a.order_id = p_order_id and a.kind = 'cancel' and a.status <> 'void') then
            v_reasons := array['a cancel is under way already'];
        elsif v_order.status in ('pending_new', 'new', 'partially_filled', 'done_for_day') then
            perform oms._add_cancel(v_order, p_request_id);
            perform oms._add_event(p_order_id, 'cancel_requested', 'pending_cancel', p_as_of);
        elsif v_order.status = 'unknown' then
            -- Goes out when the venue has said what it knows of the order.
            perform oms._add_cancel(v_order, p_request_id);
            perform oms._add_event(p_order_id, 'cancel_requested', null, p_as_of);
        else
            v_reasons := array['the order is ' || v_order.status || ' already'];
        end if;
    end if;
    return query
        select o.order_id, o.status, v_reasons from oms.orders o where o.order_id = p_order_id;
end
$$;
comment on function oms.cancel_order(bigint, uuid, timestamptz) is
    'Requests the cancellation of an order; idempotent by request id. reasons says why nothing was asked of the venue.';
grant execute on function oms.cancel_order(bigint, uuid, timestamptz) to tsdb_worker, tsdb_operator;
