-- Pauses a reduction plan: its working child orders are cancelled, and it sends none until it is resumed.
-- Its scope stays reducing.
-- Errors: TT001 no reason; TT002 unknown plan; TT004 its status does not allow it.
create or replace function risk.pause_plan(p_plan_id bigint, p_reason text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform ops._audit('risk.pause_plan', p_plan_id::text, '{}', p_reason);
    perform risk._move_plan(p_plan_id, 'pause', array['active'], 'paused', p_reason);
end
$$;
comment on function risk.pause_plan(bigint, text) is 'Pauses a reduction plan and cancels its working orders. Errors: TT001 no reason, TT002 unknown plan, TT004 its status does not allow it.';
grant execute on function risk.pause_plan(bigint, text) to tsdb_risk;
