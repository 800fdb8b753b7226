-- Records a difference between the venue's view of an order and ours, or updates the open one of
-- its kind, and alerts.
create or replace function oms._note_break(
    p_kind text,
    p_session_id uuid,
    p_order_id bigint,
    p_venue_id integer,
    p_ours jsonb,
    p_theirs jsonb
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_break_id bigint;
begin
    update oms.breaks set theirs = p_theirs, ours = p_ours, last_seen = clock_timestamp()
    where kind = p_kind and order_id = p_order_id and resolved_at is null
    returning break_id into v_break_id;
    if not found then
        insert into oms.breaks (kind, session_id, order_id, venue_id, ours, theirs)
        values (p_kind, p_session_id, p_order_id, p_venue_id, p_ours, p_theirs)
        returning break_id into v_break_id;
    end if;
    -- At once, in the words of ops.watch_orders, which resolves it.
    perform ops.raise_alert('break', 'critical', 'break ' || v_break_id || ' (' || p_kind || ') is open',
        jsonb_build_object('break_id', v_break_id, 'order_id', p_order_id, 'ours', p_ours, 'theirs', p_theirs));
end
$$;
comment on function oms._note_break(text, uuid, bigint, integer, jsonb, jsonb) is 'Records a reconciliation break.';
