-- The status of an order after a report, or null when the report does not change it.
-- p_cumulative: filled quantity with this report's fill. The venue's word decides about life and
-- death; how much is filled follows from our own executions. A cancel that was asked for stays asked
-- for, and an order in doubt stays in doubt until the venue has answered for it: a report that was
-- under way when the doubt arose says nothing about the cancel sent after it.
create or replace function oms._next_status(p_order oms.orders, p_exec_type text, p_cumulative numeric)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when p_exec_type = 'trade' and p_cumulative >= p_order.quantity then 'filled'
        when p_exec_type = 'trade' and p_order.status in ('cancelled', 'expired', 'pending_cancel', 'unknown') then null
        when p_exec_type = 'trade' then 'partially_filled'
        when p_exec_type = 'new' and p_order.status in ('pending_new', 'done_for_day')
            then case when p_cumulative > 0 then 'partially_filled' else 'new' end
        when p_exec_type = 'done_for_day' and p_order.status in ('pending_cancel', 'unknown') then null
        when p_exec_type in ('cancelled', 'rejected', 'expired', 'done_for_day')
            and p_order.status <> 'filled' then p_exec_type
        when p_exec_type = 'pending_cancel' and p_order.status in ('new', 'partially_filled') then 'pending_cancel'
    end;
end
$$;
comment on function oms._next_status(oms.orders, text, numeric) is 'Status after an execution report.';
