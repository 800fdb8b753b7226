-- Raises the alert of a breach that has just begun, and keeps its id. What cannot be known is one alert
-- per account or strategy, however many measures that blinds.
create or replace function risk._begin_breach(p_breach_id bigint)
returns void
language plpgsql
as $$
declare
    v_breach risk.breaches;
    v_whose text;
    v_detail jsonb;
    v_message text;
    v_alert_id bigint;
begin
    select b.* into strict v_breach from risk.breaches b where b.breach_id = p_breach_id;
    v_whose := format('%s in session %s',
        coalesce('strategy ' || (v_breach.scope->>'strategy') || ' of ', '') || 'account ' || v_breach.account,
        v_breach.session_id);
    v_detail := jsonb_build_object('breach_id', v_breach.breach_id, 'scope', v_breach.scope,
        'measure', v_breach.measure, 'level', v_breach.level, 'value', v_breach.value,
        'limit', v_breach.limit_value, 'as_of', v_breach.since, 'reason', v_breach.reason);
    if v_breach.level = 'unknown' then
        v_message := 'the risk of ' || v_whose || ' is not known';
        v_alert_id := ops.raise_alert('risk_unknown', 'critical', v_message, v_detail);
    else
        v_message := format('%s of %s is over its %s limit', v_breach.measure, v_whose, v_breach.level);
        v_alert_id := ops.raise_alert('risk_breach',
            case v_breach.level when 'hard' then 'critical' else 'warning' end, v_message, v_detail);
    end if;
    update risk.breaches
    set alert_id = coalesce(v_alert_id, (
        select a.alert_id from ops.alerts a where a.message = v_message and a.resolved_at is null
        order by a.alert_id desc limit 1))
    where breach_id = p_breach_id;
end
$$;
comment on function risk._begin_breach(bigint) is 'Raises the alert of a breach.';
