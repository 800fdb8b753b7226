-- Evaluates rules on a batch, all together: their states, what they found, their errors. Returns the number of
-- matches.
create or replace function signal._evaluate_rules(p_batch market.batches, p_rules integer[], p_events signal.rule_event[])
returns integer
language plpgsql
as $$
declare
    v_until constant double precision := extract(epoch from p_batch.as_of) * 1000000;
    v_kept signal.rule_kept[];
    v_matches integer := 0;
    v_rule signal.rules;
    v_one record;
begin
    -- Only states that an event is about, or whose clock runs out.
    with seen as materialized (
        select distinct e.kind, e.instrument_id from unnest(p_events) e
    )
    select array_agg(row(s.rule_id, s.key, s.windows, s.machine)::signal.rule_kept) into v_kept
    from signal.rules r
    join signal.rule_states s on s.rule_id = r.rule_id
    where r.rule_id = any (p_rules) and s.session_id = p_batch.session_id
        and (s.deadline <= v_until or exists (
            select from seen e
            where e.kind = any (r.kinds) and (e.instrument_id = s.key or e.instrument_id = any (r.named_ids))));
    for v_one in
        with folded as materialized (
            select f.rule_id, f.key, f.windows, f.machine, f.found, f.errors
            from signal._fold_rules(p_rules, v_kept, p_events, v_until) f
        ),
        saved as (
            insert into signal.rule_states (session_id, rule_id, key, windows, machine, deadline)
            select p_batch.session_id, f.rule_id, f.key, f.windows, f.machine, (f.machine).deadline from folded f
            on conflict (session_id, rule_id, key) do update
            set windows = excluded.windows, machine = excluded.machine, deadline = excluded.deadline
        ),
        matched as (
            insert into signal.rule_matches (as_of, session_id, rule_id, batch_id, batch_no, known_at, instrument_id, events)
            select signal._rule_ts(m.t), p_batch.session_id, f.rule_id, p_batch.batch_id, p_batch.batch_no, p_batch.as_of,
                   nullif(f.key, 0), signal._show_events(m.events)
            from folded f cross join lateral unnest(f.found) m
            order by f.rule_id, m.t, f.key
            returning 1
        ),
        failed as (
            insert into signal.rule_errors
                (session_id, rule_id, batch_no, as_of, key, instrument_id, kind, source_id, seq, code, message)
            select p_batch.session_id, e.rule_id, p_batch.batch_no, signal._rule_ts(e.t), e.key, e.instrument_id,
                   (array['quote', 'trade', 'news'])[e.kind], e.source_id, e.seq, e.code, e.message
            from (
                select f.rule_id, f.key, e.*, row_number() over (partition by f.rule_id order by e.t, f.key) as n
                from folded f cross join lateral unnest(f.errors) e) e
            -- The rest is counted: one per event would be as much as the market data.
            where e.n <= 10
            order by e.rule_id, e.n
            returning 1
        )
        select f.rule_id, sum(cardinality(f.found)) as matches, sum(cardinality(f.errors)) as errors,
               (array_agg(o.first order by (o.first).t) filter (where o.first is not null))[1] as first
        from folded f
        left join lateral (select e as first from unnest(f.errors) e order by e.t limit 1) o on true
        where f.found <> '{}' or f.errors <> '{}'
        group by f.rule_id
        order by f.rule_id
    loop
        v_matches := v_matches + v_one.matches;
        update signal.rule_spans s set errors = s.errors + v_one.errors, matches = s.matches + v_one.matches
        where s.session_id = p_batch.session_id and s.rule_id = v_one.rule_id and s.last_batch_no is null
        returning s.errors into v_one.errors;
        if v_one.first is not null then
            select * into v_rule from signal.rules r where r.rule_id = v_one.rule_id;
            perform ops.raise_alert('rule_error', 'warning',
                format('rule %s has events it cannot evaluate in session %s', v_rule.rule, p_batch.session_id),
                jsonb_build_object('rule', v_rule.rule, 'version', v_rule.version, 'session_id', p_batch.session_id,
                    'as_of', signal._rule_ts((v_one.first).t), 'code', (v_one.first).code, 'message', (v_one.first).message));
            if v_one.errors >= 100 then
                perform signal._end_rule_span(p_batch.session_id, v_rule, p_batch.batch_no, '100 errors');
            end if;
        end if;
    end loop;
    return v_matches;
end
$$;
comment on function signal._evaluate_rules(market.batches, integer[], signal.rule_event[]) is
    'Evaluates rules on a batch, all together; returns the number of matches.';
