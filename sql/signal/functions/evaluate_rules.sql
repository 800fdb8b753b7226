-- Evaluates the rules in force on a batch, after its strategies and in their transaction: matches
-- (signal.rule_matches), states, errors. Returns the number of matches; a batch that was evaluated returns 0 and
-- changes nothing. Only the batch's events and the states are read, however long the session is.
-- Notifies signal_rule_matches once, when there is a match.
--
-- A rule never stops a session: one that fails as a whole is rolled back for this batch, recorded, alerted
-- (rule_stopped) and ended in this session; the others go on. Events at which a rule's conditions cannot be
-- evaluated are left out and recorded (rule_error); with the hundredth the rule ends in this session.
-- Errors: TT002 unknown batch, TT001 a batch before its turn.
create or replace function signal.evaluate_rules(p_batch_id bigint)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set extra_float_digits = 1
as $$
declare
    v_batch market.batches;
    v_last bigint;
    v_rules integer[];
    v_rule_id integer;
    v_events signal.rule_event[];
    v_matches integer := 0;
begin
    select * into v_batch from market.batches b where b.batch_id = p_batch_id;
    if not found then
        raise exception 'batch % does not exist', p_batch_id using errcode = 'TT002';
    end if;
    -- Most sessions have no rules: they pay for two index look-ups.
    if not exists (select from signal.rules r where r.superseded_at = 'infinity' and r.enabled)
        and not exists (
            select from signal.rule_spans s where s.session_id = v_batch.session_id and s.last_batch_no is null)
    then
        return 0;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('signal.on_batch ' || v_batch.session_id, 0));
    select max(b.batch_no) into v_last from signal.rule_batches b where b.session_id = v_batch.session_id;
    if v_batch.batch_no <= v_last then
        return 0;
    elsif v_batch.batch_no > v_last + 1 and exists (
        select from signal.rule_spans s where s.session_id = v_batch.session_id and s.last_batch_no is null)
    then
        raise exception 'batch % of session %: its rules wait for batch %', v_batch.batch_no, v_batch.session_id, v_last + 1
            using errcode = 'TT001';
    end if;
    v_rules := signal._begin_rule_spans(v_batch);
    if v_rules = '{}' then
        return 0;
    end if;
    perform signal._record_batch_news(v_batch);
    insert into signal.rule_batches (session_id, batch_no, batch_id, rules)
    values (v_batch.session_id, v_batch.batch_no, p_batch_id, cardinality(v_rules));
    v_events := coalesce(signal._batch_events(p_batch_id), '{}');
    begin
        v_matches := signal._evaluate_rules(v_batch, v_rules, v_events);
    exception when others then
        if sqlstate ~ '^(40|53|55|57|58)' then
            raise;
        end if;
        -- One of them fails as a whole: each by itself tells which.
        foreach v_rule_id in array v_rules loop
            v_matches := v_matches + signal._isolate_rule(v_batch, v_rule_id, v_events);
        end loop;
    end;
    update signal.rule_batches b set events = cardinality(v_events), matches = v_matches
    where b.session_id = v_batch.session_id and b.batch_no = v_batch.batch_no;
    if v_matches > 0 then
        perform pg_notify('signal_rule_matches', '');
    end if;
    return v_matches;
end
$$;
comment on function signal.evaluate_rules(bigint) is
    'Evaluates the rules in force on a batch; returns the number of matches. Idempotent; a rule that fails stops no other.';
grant execute on function signal.evaluate_rules(bigint) to tsdb_worker_signals;
