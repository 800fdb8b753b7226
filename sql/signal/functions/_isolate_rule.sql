-- Evaluates one rule on a batch by itself, after all together have failed. If it fails, that is rolled back,
-- recorded and alerted (rule_stopped), and the rule is ended in this session. Returns the number of matches.
create or replace function signal._isolate_rule(p_batch market.batches, p_rule_id integer, p_events signal.rule_event[])
returns integer
language plpgsql
as $$
begin
    return signal._evaluate_rules(p_batch, array[p_rule_id], p_events);
exception when others then
    -- What the server itself suffers from is no fault of the rule: the batch is tried again.
    if sqlstate ~ '^(40|53|55|57|58)' then
        raise;
    end if;
    insert into signal.rule_errors (session_id, rule_id, batch_no, as_of, code, message)
    values (p_batch.session_id, p_rule_id, p_batch.batch_no, p_batch.as_of, sqlstate, sqlerrm);
    perform signal._end_rule_span(p_batch.session_id, r, p_batch.batch_no - 1, sqlerrm)
    from signal.rules r where r.rule_id = p_rule_id;
    return 0;
end
$$;
comment on function signal._isolate_rule(market.batches, integer, signal.rule_event[]) is
    'Evaluates one rule on a batch by itself, and ends it in the session when it fails as a whole.';
