-- The last day a session has something to report of: an execution, an entry, a quote, corporate actions
-- applied, or the close of an instrument it traded; not after its end. Null for one without any.
create or replace function portfolio._last_day(p_session_id uuid)
returns date
language sql
stable
as $$
    with traded as materialized (
        select e.instrument_id, max(e.trade_date) as last_date
        from oms.executions e
        where e.session_id = p_session_id
        group by e.instrument_id)
    select least((least(s.to_ts, s.closed_at) at time zone 'UTC')::date, greatest(
        (select max(t.last_date) from traded t),
        (select max(c.trade_date) from portfolio._cash_entries c where c.session_id = s.session_id),
        (select (max(q.ts) at time zone 'UTC')::date from market.latest_quotes q
         where q.session_id = s.session_id),
        (select a.applied_through from portfolio.applied_actions a where a.session_id = s.session_id),
        (select max(b.last_date)
         from traded t
         cross join lateral (
             select ((x.ts + interval '12 hours') at time zone 'UTC')::date as last_date
             from market._source_bars x
             where x.instrument_id = t.instrument_id and x.resolution = '1d' and x.side = 'trade'
             order by x.ts desc limit 1) b)))
    from ops.sessions s
    where s.session_id = p_session_id
$$;
comment on function portfolio._last_day(uuid) is 'The last day a session has something to report of.';
