-- Resolves a break by an operator's word. p_action: keep_ours (the other side is wrong, or it was
-- explained: nothing is booked) or take_theirs:
--   missing_execution   their execution is booked, on the order they name or else in suspense;
--   execution_content   ours is corrected to their terms, or busted where theirs is;
--   extra_execution     ours is busted;
--   quantity            more is filled than we ordered: the order's quantity becomes what is filled;
--   status              the order ends as they say, cancelled where they do not know it (any more).
-- Every booking goes the way of a report, archived as a message of the FIX session "operator". An alert
-- is resolved with its break. Returns the break as it is now.
-- Errors: TT001 no reason, or an action that the kind does not have; TT002 unknown break; TT003
-- isolation level; TT004 resolved already.
create or replace function oms.resolve_break(p_break_id bigint, p_action text, p_reason text)
returns oms.breaks
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_break oms.breaks;
    v_detail jsonb := '{}';
begin
    perform ops._audit('oms.resolve_break', p_break_id::text, jsonb_build_object('action', p_action), p_reason);
    perform oms._require_read_committed();
    if coalesce(btrim(p_reason), '') = '' then
        raise exception 'a break is resolved with a reason' using errcode = 'TT001';
    end if;
    if p_action is null or p_action not in ('keep_ours', 'take_theirs') then
        raise exception 'action "%" is none of keep_ours, take_theirs', p_action using errcode = 'TT001';
    end if;
    select b.* into v_break from oms.breaks b where b.break_id = p_break_id for update;
    if not found then
        raise exception 'break % does not exist', p_break_id using errcode = 'TT002';
    end if;
    if v_break.resolved_at is not null then
        raise exception 'break % was resolved before: %', p_break_id, v_break.resolution using errcode = 'TT004';
    end if;
    if p_action = 'take_theirs' then
        v_detail := oms._take_theirs(v_break, p_reason);
    end if;
    perform oms._close_break(p_break_id, p_action, p_reason, session_user, v_detail);
    update ops.alerts a set resolved_at = clock_timestamp()
    where a.kind = 'break' and a.resolved_at is null and (a.detail->>'break_id')::bigint = p_break_id;
    select b.* into v_break from oms.breaks b where b.break_id = p_break_id;
    return v_break;
end
$$;
comment on function oms.resolve_break(bigint, text, text) is
    'Resolves a reconciliation break by an operator''s word: keep_ours, or take_theirs, which books or settles what they say; with an audit row. Errors: TT001 no reason or an action its kind does not have, TT002 unknown break, TT003 isolation level, TT004 resolved already.';
grant execute on function oms.resolve_break(bigint, text, text) to tsdb_ops;
