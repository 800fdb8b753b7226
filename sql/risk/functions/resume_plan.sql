-- Resumes a paused reduction plan, in the bucket of the time: what it missed it does not catch up.
-- Errors: TT001 no reason; TT002 unknown plan; TT004 its status does not allow it.
create or replace function risk.resume_plan(p_plan_id bigint, p_reason text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform ops._audit('risk.resume_plan', p_plan_id::text, '{}', p_reason);
    perform risk._move_plan(p_plan_id, 'resume', array['paused'], 'active', p_reason);
end
$$;
comment on function risk.resume_plan(bigint, text) is 'Resumes a paused reduction plan. Errors: TT001 no reason, TT002 unknown plan, TT004 its status does not allow it.';
grant execute on function risk.resume_plan(bigint, text) to tsdb_risk;
