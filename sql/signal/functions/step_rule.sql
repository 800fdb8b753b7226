-- Folds the events at which a rule's conditions say something into its state and what it found. Immutable: no
-- clock, no table; the same for a batch, a day or one event at a time.
--
-- A pattern is found at its last step when there are events of its steps in order, the last at most `within`
-- after the first, with none of `without` between those two. Of all sequences that have come as far as a step
-- the one that began last is kept: if any can be completed in time, that one can. What was found ends all
-- sequences; so does what the cooldown drops. One event serves one step of a sequence.
--
-- event    one of its conditions is true. With `until` it is disarmed from then on until that is true.
--          every: all of its conditions have been true since the step before was reached (again).
-- held     its condition was true at an event and at every one of its kind since, for a time: found at the end of
--          that time, once until it is broken.
-- absent   no event for a time since the last one (first step), or since the step before was first reached.
--
-- p_until: session time that is over, all events up to it are there. Clocks run out before the first event
-- later than their time, at their own time; an event at that very time comes first.
create or replace function signal.step_rule(
    p_machine signal.rule_machine,
    p_hits signal.rule_hit[],
    p_plan signal.rule_plan,
    p_until double precision
)
returns signal.rule_outcome
language plpgsql
immutable
as $$
declare
    v_steps constant signal.rule_step[] := p_plan.steps;
    v_count constant integer := cardinality(p_plan.steps);
    v_begun double precision[] := coalesce(p_machine.begun, array_fill(null::float8, array[v_count]));
    v_reached double precision[] := coalesce(p_machine.reached, array_fill(null::float8, array[v_count]));
    v_events jsonb[] := coalesce(p_machine.events, array_fill(null::jsonb, array[v_count]));
    v_armed boolean[] := coalesce(p_machine.armed, array_fill(true, array[v_count]));
    v_since double precision[] := coalesce(p_machine.since, array_fill(null::float8, array[v_count]));
    v_since_event jsonb[] := coalesce(p_machine.since_event, array_fill(null::jsonb, array[v_count]));
    v_seen bigint[] := coalesce(p_machine.seen, array_fill(0::bigint, array[v_count]));
    v_last double precision := p_machine.last_match;
    v_has_clocks boolean := false;
    v_of_first bigint := 0;
    v_open boolean := true;
    v_found signal.rule_found[] := '{}';
    v_nothing constant boolean[] := array_fill(false, array[v_count]);
    v_due boolean[];
    v_hit signal.rule_hit;
    v_step signal.rule_step;
    v_now double precision;
    v_time double precision;
    v_deadline double precision;
    v_clock integer;
    v_event jsonb;
begin
    if p_machine.begun is not null and coalesce(cardinality(p_hits), 0) = 0
        and (p_machine.deadline <= p_until) is not true
    then
        return row(p_machine, v_found)::signal.rule_outcome;
    end if;
    -- While no sequence is begun, and without clocks, the later steps without memory need no look.
    for i in 1..v_count loop
        v_step := v_steps[i];
        v_has_clocks := v_has_clocks or v_step.kind <> 'event';
        if i = 1 or v_step.ends is not null then
            v_of_first := v_of_first | v_step.wanted | coalesce(v_step.ends, 0);
        end if;
    end loop;
    -- The last one, which is none, lets the clocks run up to p_until.
    foreach v_hit in array coalesce(p_hits, '{}') || row(null, null, null, null, null, null, null)::signal.rule_hit loop
        continue when not v_open and v_hit.bits & v_of_first = 0;
        loop
            v_deadline := null;
            v_clock := null;
            for i in 1..case when v_has_clocks then v_count else 0 end loop
                v_step := v_steps[i];
                continue when v_step.kind = 'event';
                v_time := v_step.for_us + case when v_step.kind = 'held' or i = 1 then v_since[i] else v_reached[i - 1] end;
                if v_time < coalesce(v_deadline, 'infinity') then
                    v_deadline := v_time;
                    v_clock := i;
                end if;
            end loop;
            v_due := v_nothing;
            if v_deadline < v_hit.t or (v_hit.t is null and v_deadline <= p_until) then
                v_now := v_deadline;
                v_step := v_steps[v_clock];
                v_due[v_clock] := true;
                v_event := jsonb_build_object('t', v_now, 'clock', v_step.kind);
                if v_clock = 1 or v_step.kind = 'held' then
                    v_event := v_since_event[v_clock] || jsonb_build_object('since', v_since_event[v_clock]->'t') || v_event;
                    -- What is held has to break before it counts again, what is absent has to come.
                    v_since[v_clock] := case when v_step.kind = 'held' then 'infinity'::float8 end;
                end if;
            elsif v_hit.t is null then
                exit;
            else
                v_clock := null;
                v_now := v_hit.t;
                v_event := null;
                for i in 1..v_count loop
                    v_step := v_steps[i];
                    if v_step.kind = 'event' then
                        if v_armed[i] then
                            v_due[i] := v_hit.bits & v_step.wanted <> 0;
                            v_armed[i] := not v_due[i] or v_step.ends is null;
                        else
                            v_armed[i] := v_hit.bits & v_step.ends <> 0;
                        end if;
                    elsif v_step.kind = 'held' then
                        if v_hit.bits & v_step.ends <> 0 then
                            v_since[i] := null;
                        elsif v_hit.bits & v_step.wanted <> 0 and v_since[i] is null then
                            v_since[i] := v_now;
                            v_event := coalesce(v_event, signal._rule_hit_event(v_hit));
                            v_since_event[i] := v_event;
                        end if;
                    elsif v_hit.bits & v_step.wanted <> 0 then
                        if i = 1 then
                            v_since[1] := v_now;
                            v_event := coalesce(v_event, signal._rule_hit_event(v_hit));
                            v_since_event[1] := v_event;
                        else
                            v_begun[i - 1] := null;
                            v_reached[i - 1] := null;
                        end if;
                    end if;
                end loop;
            end if;

            -- From the last step to the first, so that one event serves one of them.
            for i in reverse v_count..1 loop
                if i = 1 and v_hit.bits & p_plan.without <> 0 and v_clock is null then
                    v_begun := array_fill(null::float8, array[v_count]);
                    v_reached := v_begun;
                end if;
                continue when not v_due[i];
                v_step := v_steps[i];
                if i > 1 then
                    v_time := v_begun[i - 1];
                    if v_time is null or v_now - v_time > p_plan.within_us or v_step.kind = 'absent' then
                        v_begun[i - 1] := null;
                        v_reached[i - 1] := null;
                    end if;
                    continue when v_time is null or v_now - v_time > p_plan.within_us;
                    if v_step.is_every then
                        v_seen[i] := v_seen[i] | (v_hit.bits & v_step.wanted);
                        continue when v_seen[i] <> v_step.wanted;
                    end if;
                else
                    v_time := v_now;
                end if;
                if i < v_count then
                    -- An absence is waited for from the first time on that the step before it was reached.
                    if v_begun[i] is null or v_steps[i + 1].kind <> 'absent' then
                        v_begun[i] := v_time;
                        v_reached[i] := v_now;
                        v_event := coalesce(v_event, signal._rule_hit_event(v_hit));
                        v_events[i] := case when i > 1 then v_events[i - 1] else '[]' end
                            || jsonb_build_array(v_event || jsonb_build_object('step', i));
                        v_seen[i + 1] := 0;
                    end if;
                    continue;
                end if;
                v_begun := array_fill(null::float8, array[v_count]);
                v_reached := v_begun;
                if (v_now - v_last < p_plan.cooldown_us) is not true and (
                    p_plan.from_s is null or date_part('epoch', (signal._rule_ts(v_now) at time zone p_plan.timezone)::time)
                        between p_plan.from_s and p_plan.to_s)
                then
                    v_last := v_now;
                    v_found := v_found || row(v_now, case when i > 1 then v_events[i - 1] else '[]' end
                        || jsonb_build_array(coalesce(v_event, signal._rule_hit_event(v_hit)) || jsonb_build_object('step', i)))::signal.rule_found;
                end if;
                exit;
            end loop;
            exit when v_clock is null;
        end loop;
        v_open := v_has_clocks or num_nonnulls(variadic v_begun) > 0;
    end loop;
    return row(row(v_begun, v_reached, v_events, v_armed, v_since, v_since_event, v_seen, v_last, v_deadline)::signal.rule_machine,
        v_found)::signal.rule_outcome;
end
$$;
comment on function signal.step_rule(signal.rule_machine, signal.rule_hit[], signal.rule_plan, double precision) is
    'Folds the events at which a rule''s conditions say something into its state and what it found; immutable.';
grant execute on function signal.step_rule(signal.rule_machine, signal.rule_hit[], signal.rule_plan, double precision)
    to tsdb_reader;
