-- An event of a sequence as the state and the matches of a rule keep it. Stable only, or it would not be inlined.
create or replace function signal._rule_hit_event(p_hit signal.rule_hit)
returns jsonb
language sql
stable
as $$
    select jsonb_build_object('t', (p_hit).t, 'kind', (array['quote', 'trade', 'news'])[(p_hit).kind],
        'instrument_id', (p_hit).instrument_id, 'source_id', (p_hit).source_id, 'seq', (p_hit).seq)
        || case when (p_hit).terms = '{}' then (p_hit).terms else jsonb_build_object('values', (p_hit).terms) end
$$;
comment on function signal._rule_hit_event(signal.rule_hit) is 'An event of a sequence as the state and the matches of a rule keep it.';
grant execute on function signal._rule_hit_event(signal.rule_hit) to tsdb_reader;
