-- Records a difference between the venue's view and ours, or updates the open one of its kind about
-- the same thing, and alerts. One that a person has kept ours for, and that is the same on both sides still, stays resolved.
-- Returns its id. p_order is null when nobody knows the order. p_reference: what it is
-- about within its kind and order, such as an ExecID.
create or replace function oms._note_break(
    p_kind text,
    p_order oms.orders,
    p_venue_id integer,
    p_ours jsonb,
    p_theirs jsonb,
    p_reference text default '',
    p_source text default 'report',
    p_execution_id bigint default null
) returns bigint
language plpgsql
as $$
declare
    v_break_id bigint;
begin
    update oms.breaks b set theirs = p_theirs, ours = p_ours, last_seen = clock_timestamp()
    where b.kind = p_kind and b.reference = p_reference and b.venue_id is not distinct from p_venue_id
        and b.order_id is not distinct from p_order.order_id and b.resolved_at is null
        and b.session_id is not distinct from p_order.session_id and (b.source = p_source or p_reference = '')
    returning break_id into v_break_id;
    if not found then
        select b.break_id into v_break_id from oms.breaks b
        where b.kind = p_kind and b.reference = p_reference and b.venue_id is not distinct from p_venue_id
            and b.order_id is not distinct from p_order.order_id and b.source = p_source
            and b.session_id is not distinct from p_order.session_id
            and b.resolution like 'keep_ours: %' and b.ours = p_ours and b.theirs = p_theirs
        limit 1;
        if found then
            return v_break_id;
        end if;
        insert into oms.breaks (kind, session_id, order_id, venue_id, ours, theirs, reference, source, execution_id)
        values (p_kind, p_order.session_id, p_order.order_id, p_venue_id, p_ours, p_theirs, p_reference,
            p_source, p_execution_id)
        returning break_id into v_break_id;
        insert into oms.break_audit (break_id, action, reason, done_by)
        values (v_break_id, 'opened', p_kind || ' from ' || p_source, 'reconciliation');
    end if;
    -- At once, in the words of ops.watch_orders, which resolves it.
    perform ops.raise_alert('break', 'critical', 'break ' || v_break_id || ' (' || p_kind || ') is open',
        jsonb_build_object('break_id', v_break_id, 'order_id', p_order.order_id, 'ours', p_ours, 'theirs', p_theirs));
    return v_break_id;
end
$$;
comment on function oms._note_break(text, oms.orders, integer, jsonb, jsonb, text, text, bigint) is
    'Records a reconciliation break.';
