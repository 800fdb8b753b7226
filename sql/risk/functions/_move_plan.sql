-- Moves a plan to another status on a person's word, and records who and why.
-- Errors: TT001 no reason; TT002 unknown plan; TT004 its status does not allow it.
create or replace function risk._move_plan(
    p_plan_id bigint,
    p_action text,
    p_from text[],
    p_to text,
    p_reason text
) returns void
language plpgsql
as $$
declare
    v_status text;
begin
    if coalesce(p_reason, '') = '' then
        raise exception 'to % a plan needs a reason', p_action using errcode = 'TT001';
    end if;
    select p.status into v_status from risk.reduction_plans p where p.plan_id = p_plan_id for update;
    if not found then
        raise exception 'plan % does not exist', coalesce(p_plan_id::text, 'null') using errcode = 'TT002';
    elsif v_status <> all (p_from) then
        raise exception 'plan % is %: it cannot %', p_plan_id, v_status, p_action using errcode = 'TT004';
    end if;
    update risk.reduction_plans set status = p_to where plan_id = p_plan_id;
    insert into risk.plan_actions (plan_id, action, reason) values (p_plan_id, p_action, p_reason);
end
$$;
comment on function risk._move_plan(bigint, text, text[], text, text) is 'Moves a plan to another status.';
