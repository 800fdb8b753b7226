-- Compares the cumulative quantity that a venue reports with the sum of the executions we hold:
-- a difference is a break, and the end of one resolves it.
create or replace function oms._compare_quantity(
    p_order oms.orders,
    p_cumulative numeric,
    p_venue_id integer,
    p_report jsonb
) returns void
language plpgsql
as $$
begin
    -- A report that was overtaken by later ones says less than we know: only more is a break.
    if (p_report->>'cum_qty')::numeric > p_cumulative or p_cumulative > p_order.quantity then
        perform oms._note_break('quantity', p_order, p_venue_id,
            jsonb_build_object('cum_qty', p_cumulative::text, 'quantity', p_order.quantity::text), p_report);
    else
        perform oms._close_break(b.break_id, 'agreed', 'the missing executions arrived', 'reconciliation')
        from oms.breaks b
        where b.order_id = p_order.order_id and b.kind = 'quantity' and b.resolved_at is null
            and (b.theirs->>'cum_qty')::numeric <= p_cumulative;
    end if;
end
$$;
comment on function oms._compare_quantity(oms.orders, numeric, integer, jsonb) is
    'Notes or resolves a quantity break.';
