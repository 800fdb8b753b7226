-- The events of a match as signal.rule_matches shows them: times in UTC, symbols.
create or replace function signal._show_events(p_events jsonb)
returns jsonb
language sql
stable
as $$
    select jsonb_agg(
        (e.event - 't' - 'since' - 'instrument_id') || jsonb_strip_nulls(jsonb_build_object(
            'ts', signal._show_t((e.event->>'t')::float8), 'since', signal._show_t((e.event->>'since')::float8),
            'symbol', i.symbol)) order by e.n)
    from jsonb_array_elements(p_events) with ordinality e (event, n)
    left join ref.instruments i on i.instrument_id = (e.event->>'instrument_id')::integer
$$;
comment on function signal._show_events(jsonb) is 'The events of a match with times in UTC and symbols.';
