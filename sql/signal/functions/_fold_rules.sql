-- Folds events into rules, for every key they are about: the new states and what was found. p_kept are the
-- states of these keys, and of those with a clock that runs out by p_until. Batches and scans call this and no
-- other function, so that they cannot differ.
--
-- Compiled rules are called by name, all of them in the one statement that has to be planned for it.
create or replace function signal._fold_rules(
    p_rules integer[],
    p_kept signal.rule_kept[],
    p_events signal.rule_event[],
    p_until double precision
)
returns table (
    rule_id integer,
    key integer,
    windows double precision[],
    machine signal.rule_machine,
    found signal.rule_found[],
    errors signal.rule_error[]
)
language plpgsql
stable
as $$
declare
    v_calls signal.rule_call[] := signal._rule_calls(p_rules, p_kept, p_events);
begin
    if v_calls is null then
        return;
    end if;
    return query execute format($query$
        select c.rule_id, c.key, (d.done).windows, (d.stepped).machine, (d.stepped).found, (d.done).errors
        from unnest($1) c
        join signal.rules r on r.rule_id = c.rule_id
        cross join lateral (select case c.rule_id %s end as done offset 0) f
        cross join lateral (select f.done, signal.step_rule(c.machine, (f.done).hits, r.plan, $2) as stepped offset 0) d
        $query$, (
        select string_agg(format('when %1$s then signal._rule_%1$s(c.windows, c.events, c.key)', u.rule_id), ' ' order by u.rule_id)
        from (select distinct c.rule_id from unnest(v_calls) c) u))
    using v_calls, p_until;
end
$$;
comment on function signal._fold_rules(integer[], signal.rule_kept[], signal.rule_event[], double precision) is
    'Folds events into rules, per rule and key: new states, what was found and what failed.';
