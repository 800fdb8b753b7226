-- The status of an order after a report, or null when the report does not change it.
-- p_cumulative: filled quantity with this report's change. The venue's word decides about life and
-- death; how much is filled follows from our own executions. What was asked for stays asked for, and
-- an order in doubt stays in doubt until the venue has answered for it: a report that was under way
-- when the doubt arose says nothing about what was sent after it.
create or replace function oms._next_status(
    p_order oms.orders,
    p_exec_type text,
    p_ord_status text,
    p_cumulative numeric
) returns text
language plpgsql
immutable
as $$
declare
    v_waits constant boolean := p_order.status in ('pending_cancel', 'pending_replace', 'unknown');
    v_worked constant text := case when p_cumulative > 0 then 'partially_filled' else 'new' end;
begin
    return case
        when p_exec_type in ('trade', 'trade_correct') and p_cumulative >= p_order.quantity then 'filled'
        when p_exec_type = 'trade' and (v_waits or p_order.status in ('cancelled', 'expired', 'rejected')) then null
        when p_exec_type = 'trade' and p_order.status in ('stopped', 'suspended', 'done_for_day')
            and p_ord_status in ('stopped', 'suspended', 'done_for_day') then null
        when p_exec_type = 'trade' then 'partially_filled'
        when p_exec_type in ('trade_cancel', 'trade_correct') then
            case
                when p_order.status = 'filled' and p_ord_status in ('new', 'partially_filled') then v_worked
                when p_order.status = 'filled' then 'cancelled'
                when p_order.status in ('new', 'partially_filled') then v_worked
            end
        when p_exec_type = 'new' and p_order.status in ('pending_new', 'done_for_day', 'suspended', 'stopped')
            then v_worked
        when p_exec_type = 'restated' and not v_waits and p_order.is_live then
            case
                when p_ord_status in ('stopped', 'suspended', 'done_for_day') then p_ord_status
                when p_ord_status in ('new', 'partially_filled') then v_worked
            end
        when p_exec_type in ('done_for_day', 'stopped', 'suspended') and (v_waits or not p_order.is_live) then null
        when p_exec_type in ('cancelled', 'rejected', 'expired', 'done_for_day', 'stopped', 'suspended')
            and p_order.status <> 'filled' then p_exec_type
        when p_exec_type = 'pending_cancel' and p_order.status in ('new', 'partially_filled') then 'pending_cancel'
    end;
end
$$;
comment on function oms._next_status(oms.orders, text, text, numeric) is 'Status after an execution report.';
