-- The rules that are evaluated on a batch: enabled, the current version, valid at its end, and not ended by
-- errors in this session. Ends the spans of those that were evaluated before and no more, begins those of new ones.
create or replace function signal._begin_rule_spans(p_batch market.batches)
returns integer[]
language plpgsql
as $$
declare
    v_rules integer[];
begin
    select coalesce(array_agg(r.rule_id order by r.rule_id), '{}') into v_rules
    from signal.rules r
    where r.superseded_at = 'infinity' and r.enabled
        and p_batch.as_of >= r.valid_from and p_batch.as_of < r.valid_to
        and not exists (
            select from signal.rule_spans s
            where s.session_id = p_batch.session_id and s.rule_id = r.rule_id and s.ended_by = 'errors');
    with ended as (
        update signal.rule_spans s set last_batch_no = p_batch.batch_no - 1, ended_by = 'disabled'
        where s.session_id = p_batch.session_id and s.last_batch_no is null and s.rule_id <> all (v_rules)
        returning s.rule_id)
    delete from signal.rule_states t using ended e
    where t.session_id = p_batch.session_id and t.rule_id = e.rule_id;
    insert into signal.rule_spans (session_id, rule_id, first_batch_no)
    select p_batch.session_id, r.rule_id, p_batch.batch_no
    from unnest(v_rules) r (rule_id)
    where not exists (
        select from signal.rule_spans s
        where s.session_id = p_batch.session_id and s.rule_id = r.rule_id and s.last_batch_no is null);
    return v_rules;
end
$$;
comment on function signal._begin_rule_spans(market.batches) is
    'The rules that are evaluated on a batch, with the spans of the session brought up to it.';
