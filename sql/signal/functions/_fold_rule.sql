-- Folds events into a rule, for every key they are about: the new states and what was found. p_kept are the
-- states of these keys, and of those with a clock that runs out by p_until. Batches and scans call this and no
-- other function, so that they cannot differ.
create or replace function signal._fold_rule(
    p_rule signal.rules,
    p_kept signal.rule_kept[],
    p_events signal.rule_event[],
    p_until double precision
)
returns table (
    key integer,
    windows double precision[],
    machine signal.rule_machine,
    found signal.rule_found[],
    errors signal.rule_error[]
)
language plpgsql
stable
as $$
begin
    return query execute format($query$
        with fed as (
            %s
        )
        select coalesce(f.key, k.key), coalesce(c.windows, k.windows), m.machine, m.found, coalesce(c.errors, '{}')
        from fed f
        full join unnest($2) k on k.key = f.key
        cross join lateral signal._rule_%s(k.windows, coalesce(f.events, '{}'), f.key) c
        cross join lateral signal.step_rule(k.machine, c.hits, $3, $4) m
        $query$,
        case when not p_rule.is_keyed then
            'select 0 as key, array_agg(e order by e.no) as events from unnest($1) e where e.kind = any ($5) and e.instrument_id = any ($6) having count(*) > 0'
        when p_rule.named_ids = '{}' then
            'select e.instrument_id as key, array_agg(e order by e.no) as events from unnest($1) e where e.kind = any ($5) and ($7 is null or e.instrument_id = any ($7)) group by e.instrument_id'
        else
            'select i.key, array_agg(e order by e.no) as events from unnest($7) i (key) join unnest($1) e on e.instrument_id = i.key or e.instrument_id = any ($6) where e.kind = any ($5) group by i.key'
        end, p_rule.rule_id)
    using p_events, p_kept, p_rule.plan, p_until, p_rule.kinds, p_rule.named_ids, p_rule.instrument_ids;
end
$$;
comment on function signal._fold_rule(signal.rules, signal.rule_kept[], signal.rule_event[], double precision) is
    'Folds events into a rule, per key: new states, what was found and what failed.';
