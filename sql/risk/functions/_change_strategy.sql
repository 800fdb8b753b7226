-- Makes a strategy active or disabled, with its row in risk.strategy_audit. False: it was. What throttles count starts
-- anew when it is enabled: signal.strategies.enabled_at. Errors: TT002 unknown strategy.
create or replace function risk._change_strategy(p_strategy text, p_status text, p_reason text)
returns boolean
language plpgsql
as $$
declare
    v_strategy_id integer;
begin
    update signal.strategies s
    set status = p_status,
        enabled_at = case p_status when 'active' then clock_timestamp() else s.enabled_at end
    where s.strategy = p_strategy and s.status <> p_status
    returning s.strategy_id into v_strategy_id;
    if found then
        insert into risk.strategy_audit (strategy_id, action, reason)
        values (v_strategy_id, case p_status when 'active' then 'enabled' else 'disabled' end, p_reason);
        return true;
    end if;
    if not exists (select from signal.strategies s where s.strategy = p_strategy) then
        raise exception 'strategy "%" does not exist', coalesce(p_strategy, 'null') using errcode = 'TT002';
    end if;
    return false;
end
$$;
comment on function risk._change_strategy(text, text, text) is 'Makes a strategy active or disabled.';
