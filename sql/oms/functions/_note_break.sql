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
begin
    update oms.breaks set theirs = p_theirs, ours = p_ours, last_seen = clock_timestamp()
    where kind = p_kind and order_id = p_order_id and resolved_at is null;
    if not found then
        insert into oms.breaks (kind, session_id, order_id, venue_id, ours, theirs)
        values (p_kind, p_session_id, p_order_id, p_venue_id, p_ours, p_theirs);
    end if;
    perform ops.raise_alert('reconciliation_break', 'critical',
        format('%s break with venue %s on order %s', p_kind,
            (select venue from ref.venues where venue_id = p_venue_id), coalesce(p_order_id::text, 'unknown')),
        jsonb_build_object('ours', p_ours, 'theirs', p_theirs));
end
$$;
comment on function oms._note_break(text, uuid, bigint, integer, jsonb, jsonb) is 'Records a reconciliation break.';
