-- Evaluates one rule on a batch: its states, what it found, its errors. Returns the number of matches.
create or replace function signal._evaluate_rule(p_batch market.batches, p_rule_id integer, p_events signal.rule_event[])
returns integer
language plpgsql
as $$
declare
    v_rule signal.rules;
    v_until double precision := extract(epoch from p_batch.as_of) * 1000000;
    v_kept signal.rule_kept[];
    v_errors integer;
    v_matches integer;
    v_first jsonb;
begin
    select * into v_rule from signal.rules r where r.rule_id = p_rule_id;
    select array_agg(row(s.key, s.windows, s.machine)::signal.rule_kept) into v_kept
    from signal.rule_states s
    where s.session_id = p_batch.session_id and s.rule_id = p_rule_id
        and (s.deadline <= v_until or not v_rule.is_keyed or v_rule.named_ids <> '{}'
            or s.key in (select e.instrument_id from unnest(p_events) e where e.kind = any (v_rule.kinds)));
    with folded as materialized (
        select f.key, f.windows, f.machine, f.found, f.errors
        from signal._fold_rule(v_rule, v_kept, p_events, v_until) f
    ),
    saved as (
        insert into signal.rule_states (session_id, rule_id, key, windows, machine, deadline)
        select p_batch.session_id, p_rule_id, f.key, f.windows, f.machine, (f.machine).deadline from folded f
        on conflict (session_id, rule_id, key) do update
        set windows = excluded.windows, machine = excluded.machine, deadline = excluded.deadline
    ),
    matched as (
        insert into signal.rule_matches (as_of, session_id, rule_id, batch_id, batch_no, known_at, instrument_id, events)
        select signal._rule_ts(m.t), p_batch.session_id, p_rule_id, p_batch.batch_id, p_batch.batch_no, p_batch.as_of,
               nullif(f.key, 0), signal._show_events(m.events)
        from folded f cross join lateral unnest(f.found) m
        order by m.t, f.key
        returning 1
    ),
    failed as (
        insert into signal.rule_errors
            (session_id, rule_id, batch_no, as_of, key, instrument_id, kind, source_id, seq, code, message)
        select p_batch.session_id, p_rule_id, p_batch.batch_no, signal._rule_ts(e.t), f.key, e.instrument_id,
               (array['quote', 'trade', 'news'])[e.kind], e.source_id, e.seq, e.code, e.message
        from folded f cross join lateral unnest(f.errors) e
        order by e.t, f.key
        -- The rest is counted: one per event would be as much as the market data.
        limit 10
        returning 1
    )
    select (select count(*) from matched), (select coalesce(sum(cardinality(f.errors)), 0) from folded f),
           (select to_jsonb(e) from folded f cross join lateral unnest(f.errors) e order by e.t limit 1)
    into v_matches, v_errors, v_first;
    if v_errors > 0 or v_matches > 0 then
        update signal.rule_spans s set errors = s.errors + v_errors, matches = s.matches + v_matches
        where s.session_id = p_batch.session_id and s.rule_id = p_rule_id and s.last_batch_no is null
        returning s.errors into v_errors;
    end if;
    if v_first is not null then
        perform ops.raise_alert('rule_error', 'warning',
            format('rule %s has events it cannot evaluate in session %s', v_rule.rule, p_batch.session_id),
            jsonb_build_object('rule', v_rule.rule, 'version', v_rule.version, 'session_id', p_batch.session_id,
                'as_of', signal._rule_ts((v_first->>'t')::float8), 'code', v_first->>'code', 'message', v_first->>'message'));
        if v_errors >= 100 then
            perform signal._end_rule_span(p_batch.session_id, v_rule, p_batch.batch_no, '100 errors');
        end if;
    end if;
    return v_matches;
end
$$;
comment on function signal._evaluate_rule(market.batches, integer, signal.rule_event[]) is
    'Evaluates one rule on a batch; returns the number of matches.';
