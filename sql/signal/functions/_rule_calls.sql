-- What there is to fold: for every rule and key that events are about, these events in their order, with the
-- state kept of them; and the states kept without an event, for their clocks. Events are sorted out once for all
-- rules that look at the same kinds.
--
-- plpgsql, because it keeps the plan from batch to batch.
create or replace function signal._rule_calls(
    p_rules integer[],
    p_kept signal.rule_kept[],
    p_events signal.rule_event[]
)
returns signal.rule_call[]
language plpgsql
stable
as $$
begin
    return (
        with rules as materialized (
            select r.rule_id, r.is_keyed, r.kinds, r.named_ids, r.instrument_ids
            from signal.rules r where r.rule_id = any (p_rules)
        ),
        events as materialized (
            select e.no, e.kind, e.instrument_id, e as event from unnest(p_events) e
        ),
        own as materialized (
            select k.kinds, e.instrument_id, array_agg(e.event order by e.no) as events
            from (select distinct r.kinds from rules r where r.is_keyed and r.named_ids = '{}') k
            join events e on e.kind = any (k.kinds)
            group by k.kinds, e.instrument_id
        ),
        fed as (
            select r.rule_id, o.instrument_id as key, o.events
            from rules r
            join own o on o.kinds = r.kinds
            where r.is_keyed and r.named_ids = '{}'
                and (r.instrument_ids is null or o.instrument_id = any (r.instrument_ids))
            union all
            select r.rule_id, i.key, array_agg(e.event order by e.no)
            from rules r
            cross join lateral unnest(case when r.is_keyed then r.instrument_ids else '{0}' end) i (key)
            join events e on e.kind = any (r.kinds) and (e.instrument_id = i.key or e.instrument_id = any (r.named_ids))
            where r.named_ids <> '{}'
            group by r.rule_id, i.key
        )
        select array_agg(row(coalesce(f.rule_id, k.rule_id), coalesce(f.key, k.key), k.windows, k.machine,
            coalesce(f.events, '{}'))::signal.rule_call)
        from fed f
        full join unnest(p_kept) k on k.rule_id = f.rule_id and k.key = f.key);
end
$$;
comment on function signal._rule_calls(integer[], signal.rule_kept[], signal.rule_event[]) is
    'What there is to fold into rules: per rule and key, its events and its state.';
