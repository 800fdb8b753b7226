-- Cancels a reduction plan: its working child orders are cancelled, and it is over with the last of them.
-- Its scope stays reducing until a person lowers it.
-- Errors: TT001 no reason; TT002 unknown plan; TT004 its status does not allow it.
create or replace function risk.cancel_plan(p_plan_id bigint, p_reason text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform ops._audit('risk.cancel_plan', p_plan_id::text, '{}', p_reason);
    perform risk._move_plan(p_plan_id, 'cancel', array['active', 'paused'], 'cancelling', p_reason);
end
$$;
comment on function risk.cancel_plan(bigint, text) is 'Cancels a reduction plan and its working orders. Errors: TT001 no reason, TT002 unknown plan, TT004 its status does not allow it.';
grant execute on function risk.cancel_plan(bigint, text) to tsdb_risk;
