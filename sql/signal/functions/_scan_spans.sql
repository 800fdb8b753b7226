-- What rules find in batches p_first to p_last of a session, each of the rules over its own: as signal.scan_rules
-- returns it.
create or replace function signal._scan_spans(p_session_id uuid, p_rules integer[], p_first bigint[], p_last bigint[])
returns table (
    rule text,
    version integer,
    first_batch_no bigint,
    as_of timestamptz,
    batch_no bigint,
    known_at timestamptz,
    instrument_id integer,
    events jsonb
)
language sql
stable
as $$
    select r.rule, r.version, m.first_batch_no, m.as_of, b.batch_no, b.as_of, nullif(m.key, 0), m.events
    from (
        select f.rule_id, f.first_batch_no, f.key, signal._rule_ts((f.found).t) as as_of,
               signal._show_events((f.found).events) as events
        from signal._scan_rules(p_session_id, p_rules, p_first, p_last) f
        where (f.found).t is not null) m
    join signal.rules r on r.rule_id = m.rule_id
    cross join lateral (
        select b.batch_no, b.as_of from market.batches b
        where b.session_id = p_session_id and b.as_of >= m.as_of order by b.batch_no limit 1) b
    order by r.rule, r.version, m.first_batch_no, m.as_of, m.key
$$;
comment on function signal._scan_spans(uuid, integer[], bigint[], bigint[]) is
    'What rules find in batches of a session, each over its own, as signal.scan_rules returns it.';
