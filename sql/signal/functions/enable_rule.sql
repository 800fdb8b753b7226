-- Has a rule evaluated from the next batch of every session on, also where its errors had ended it; its state
-- starts anew there. Resolves its alerts. Returns whether anything changed. Errors: TT002 unknown rule.
create or replace function signal.enable_rule(p_rule text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rule signal.rules;
    v_changed boolean;
begin
    perform ops._audit('signal.enable_rule', p_rule);
    perform signal._check_word('rule', p_rule, array(select distinct r.rule from signal.rules r order by 1));
    select * into v_rule from signal.rules r where r.rule = p_rule and r.superseded_at = 'infinity';
    update signal.rules r set enabled = true where r.rule_id = v_rule.rule_id;
    update signal.rule_spans s set ended_by = 'cleared' where s.rule_id = v_rule.rule_id and s.ended_by = 'errors';
    v_changed := found or not v_rule.enabled;
    perform ops._resolve_alerts(array(
        select a.alert_id from ops.alerts a
        where a.kind in ('rule_error', 'rule_stopped') and a.resolved_at is null and a.detail->>'rule' = p_rule));
    return v_changed;
end
$$;
comment on function signal.enable_rule(text) is
    'Has a rule evaluated from the next batch on, also where its errors had ended it; returns whether anything changed.';
grant execute on function signal.enable_rule(text) to tsdb_ops;
