-- Ends a rule in a session because of its errors, and says so.
create or replace function signal._end_rule_span(p_session_id uuid, p_rule signal.rules, p_last_batch_no bigint, p_reason text)
returns void
language plpgsql
as $$
begin
    update signal.rule_spans s set last_batch_no = p_last_batch_no, ended_by = 'errors'
    where s.session_id = p_session_id and s.rule_id = p_rule.rule_id and s.last_batch_no is null;
    delete from signal.rule_states t where t.session_id = p_session_id and t.rule_id = p_rule.rule_id;
    perform ops.raise_alert('rule_stopped', 'critical',
        format('rule %s is stopped in session %s: %s', p_rule.rule, p_session_id, p_reason),
        jsonb_build_object('rule', p_rule.rule, 'version', p_rule.version, 'session_id', p_session_id));
end
$$;
comment on function signal._end_rule_span(uuid, signal.rules, bigint, text) is 'Ends a rule in a session because of its errors.';
