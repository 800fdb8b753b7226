-- Makes the daily returns (risk.returns) of the dates p_from to p_to anew, from daily bars as loaded and the
-- corporate actions that stand; returns how many rows changed. Repeatable: what did not change is not written.
-- A return is that of a holder of the close before: the close over the close before, the latter times what
-- market.adjusted_daily multiplies it by (p_adjust all), less 1. After a date without a close the next return
-- is over both days; after more than 30 days there is none. Bars up to 31 days after p_to are looked at for the
-- return that follows p_to. p_feed: see risk._daily_feeds. Errors: TT001 dates that cannot be, several feeds;
-- TT002 unknown feed.
create or replace function risk.refresh_returns(p_from date, p_to date, p_feed text default null)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_written integer;
begin
    perform ops._audit('risk.refresh_returns', p_from::text, jsonb_build_object('to', p_to, 'feed', p_feed));
    if (p_from <= p_to and isfinite(p_from) and isfinite(p_to)) is not true then
        raise exception 'cannot refresh returns from % to %', coalesce(p_from::text, 'null'),
            coalesce(p_to::text, 'null') using errcode = 'TT001';
    end if;
    if p_feed is not null and not exists (select from ops.feeds f where f.feed = p_feed) then
        raise exception 'unknown feed %', p_feed using errcode = 'TT002';
    end if;
    -- Two at once would each write what the other has just written.
    perform pg_advisory_xact_lock(hashtextextended('risk.refresh_returns', 0));
    with feeds as materialized (
        -- Bars start at midnight somewhere: a day on either side is room for every time zone.
        select f.instrument_id, f.feed_id, d.feed
        from risk._daily_feeds((p_from - 32)::timestamptz, (p_to + 32)::timestamptz, p_feed) f
        join ops.feeds d using (feed_id)),
    closes as (
        -- Of two bars of a date the one loaded last counts, as in market._daily_bars.
        select distinct on (b.instrument_id, x.date) b.instrument_id, b.feed_id, x.date, b.close,
            b.ts + interval '1 day' as known_at
        from market._source_bars b
        join feeds using (instrument_id, feed_id)
        cross join lateral (select ((b.ts + interval '12 hours') at time zone 'UTC')::date as date) x
        where b.resolution = '1d' and b.side = 'trade'
            and b.ts >= (p_from - 32)::timestamptz and b.ts <= (p_to + 32)::timestamptz
            and x.date between p_from - 31 and p_to + 31
        order by b.instrument_id, x.date, b.source_id desc, b.seq desc),
    pairs as (
        select c.*, lag(c.date) over w as since, lag(c.close) over w as close_before
        from closes c
        where c.close > 0
        window w as (partition by c.instrument_id order by c.date)),
    due as materialized (
        select * from pairs p where p.date >= p_from and (p.date <= p_to or p.since <= p_to)),
    factors as materialized (
        select f.instrument_id, a.ex_date, a.factor, a.problem
        from feeds f
        join (
            select distinct t.instrument_id from risk._return_facts t
            where t.ex_date between p_from - 31 and p_to + 31) t using (instrument_id)
        cross join lateral risk._return_factors(f.instrument_id, p_from - 31, p_to + 31, f.feed) a),
    changed as (
        select d.instrument_id, d.date, market._product(f.factor) as factor, min(f.problem) as problem
        from factors f
        join due d on d.instrument_id = f.instrument_id and f.ex_date > d.since and f.ex_date <= d.date
        group by d.instrument_id, d.date),
    fresh as materialized (
        select d.instrument_id, d.date,
            case when c.problem is not null then null
                when c.factor is null then d.close / d.close_before::double precision - 1
                else (d.close / (d.close_before * c.factor) - 1)::double precision end as simple_return,
            d.since, d.known_at, d.feed_id, c.problem as reason
        from due d
        left join changed c using (instrument_id, date)
        where d.since >= d.date - 31),
    written as (
        insert into risk.returns as r (instrument_id, date, simple_return, since, known_at, feed_id, reason)
        select * from fresh
        on conflict (instrument_id, date) do update
        set simple_return = excluded.simple_return, since = excluded.since, known_at = excluded.known_at,
            feed_id = excluded.feed_id, reason = excluded.reason, recorded_at = clock_timestamp()
        where (r.simple_return, r.since, r.known_at, r.feed_id, r.reason) is distinct from
            (excluded.simple_return, excluded.since, excluded.known_at, excluded.feed_id, excluded.reason)
        returning 1),
    gone as (
        delete from risk.returns r
        using (
            select o.instrument_id, o.date
            from risk.returns o
            left join fresh f using (instrument_id, date)
            where o.date between p_from and p_to and f.date is null) o
        where r.instrument_id = o.instrument_id and r.date = o.date
        returning 1)
    select (select count(*) from written) + (select count(*) from gone) into v_written;
    return v_written;
end
$$;
comment on function risk.refresh_returns(date, date, text) is
    'Makes risk.returns of a range of dates anew from daily bars; returns how many rows changed. Errors: TT001, TT002.';
grant execute on function risk.refresh_returns(date, date, text) to tsdb_worker_scheduler, tsdb_ops;
