-- Every difference between what rules found in a session batch by batch and what a scan of its stored ticks,
-- headlines and recorded batches finds; no rows when there is none.
-- kind: missing_match (the scan finds it, recorded is nothing), extra_match. Errors: TT002 unknown session.
create or replace function signal.rule_parity(p_session_id uuid)
returns table (
    kind text,
    rule text,
    version integer,
    batch_no bigint,
    as_of timestamptz,
    instrument_id integer,
    events jsonb
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set extra_float_digits = 1
as $$
#variable_conflict use_column
begin
    if not exists (select from ops.sessions s where s.session_id = p_session_id) then
        raise exception 'session % does not exist', p_session_id using errcode = 'TT002';
    end if;
    return query
    with recorded as (
        select r.rule, r.version, m.batch_no, m.as_of, m.known_at, m.instrument_id, o.events,
               row_number() over (partition by m.rule_id, m.batch_no, m.as_of, m.instrument_id, o.events) as copy
        from signal.rule_matches m
        join signal.rules r on r.rule_id = m.rule_id
        cross join lateral (select signal._without_symbols(m.events) as events) o
        where m.session_id = p_session_id
    ),
    -- What was never evaluated there was not to be found.
    spans as (
        select array_agg(s.rule_id) as rules, array_agg(s.first_batch_no) as first_no,
               array_agg(coalesce(s.last_batch_no, l.batch_no)) as last_no
        from signal.rule_spans s
        cross join (
            select max(b.batch_no) as batch_no from signal.rule_batches b where b.session_id = p_session_id) l
        where s.session_id = p_session_id
    ),
    scanned as (
        select s.rule, s.version, s.batch_no, s.as_of, s.known_at, s.instrument_id, o.events,
               row_number() over (partition by s.rule, s.version, s.batch_no, s.as_of, s.instrument_id, o.events) as copy
        from spans p
        cross join lateral signal._scan_spans(p_session_id, p.rules, p.first_no, p.last_no) s
        cross join lateral (select signal._without_symbols(s.events) as events) o
    )
    select d.kind, d.rule, d.version, d.batch_no, d.as_of, d.instrument_id, d.events
    from (
        select 'missing_match' as kind, s.* from (select * from scanned except select * from recorded) s
        union all
        select 'extra_match', x.* from (select * from recorded except select * from scanned) x) d
    order by d.as_of, d.rule, d.instrument_id, d.kind;
end
$$;
comment on function signal.rule_parity(uuid) is
    'Every difference between what rules found in a session and what a scan of it finds; no rows when there is none.';
grant execute on function signal.rule_parity(uuid) to tsdb_reader;
