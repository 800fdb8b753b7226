-- Daily closes of instruments as their vendor made them, as known at a time: of the session's mark_feed
-- (ops.sessions.parameters), else of its own feed, else of the only feed that has the day. Null where
-- several have it. Of two bars of a date the one loaded last counts.
create or replace function portfolio._closes(
    p_session_id uuid, p_instruments integer[], p_from date, p_to date, p_known_at timestamptz
)
returns table (instrument_id integer, date date, close numeric)
language sql
stable
as $$
    with chosen as (
        select coalesce(
            (select f.feed_id from ops.feeds f where f.feed = s.parameters->>'mark_feed'), s.feed_id) as feed_id
        from ops.sessions s where s.session_id = p_session_id),
    bars as (
        select distinct on (b.instrument_id, x.date, b.feed_id)
            b.instrument_id, x.date, b.feed_id,
            round(b.close / power(10::numeric, i.price_scale), i.price_scale) as close
        from market._source_bars b
        join ref.instruments i on i.instrument_id = b.instrument_id
        -- A bar starts at midnight of its date in its market's time zone.
        cross join lateral (select ((b.ts + interval '12 hours') at time zone 'UTC')::date as date) x
        where b.instrument_id = any (p_instruments) and b.resolution = '1d' and b.side = 'trade'
            and b.ts >= (p_from - 1)::timestamp at time zone 'UTC'
            and b.ts <= (p_to + 1)::timestamp at time zone 'UTC'
            and x.date between p_from and p_to and b.recv_ts <= p_known_at
            and b.feed_id = coalesce((select c.feed_id from chosen c), b.feed_id)
        order by b.instrument_id, x.date, b.feed_id, b.source_id desc, b.seq desc)
    select b.instrument_id, b.date, case when count(*) = 1 then min(b.close) end
    from bars b
    group by b.instrument_id, b.date
$$;
comment on function portfolio._closes(uuid, integer[], date, date, timestamptz) is
    'Daily closes of instruments, as known at a time.';
