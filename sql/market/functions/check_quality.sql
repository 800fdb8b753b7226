-- What goes beyond its threshold in a feed's data on the days from p_from up to p_to: rules of the
-- stages check (ticks, per instrument and day; losses, per day) and bars (daily and other bars of a
-- vendor, each). observed and threshold are in the rule's unit; ts is where it was seen, or the
-- day's beginning. Days that changed since they were measured are measured anew; with p_measured they
-- are taken as they were. Errors: TT002 unknown feed, TT001 no days.
create or replace function market.check_quality(
    p_feed text, p_from timestamptz, p_to timestamptz, p_measured boolean default false
)
returns table (
    rule text,
    instrument_id integer,
    symbol text,
    ts timestamptz,
    observed double precision,
    threshold double precision
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_feed_id integer := market._feed_id(p_feed);
    v_rules jsonb := market._quality_thresholds(p_feed, null);
begin
    if p_from is null or p_to is null or p_from >= p_to then
        raise exception 'from % to % are no days: say from before to', p_from, p_to
            using errcode = 'TT001';
    end if;
    return query
    select c.rule, q.instrument_id, q.symbol,
           coalesce(c.ts, q.day::timestamp at time zone 'America/New_York'),
           c.observed, (t.rules->>c.rule)::double precision
    from market._quality_by_instrument q
    cross join lateral (select market._quality_thresholds(p_feed, q.symbol) as rules) t
    cross join lateral (values
        ('crossed_share', q.crossed::double precision / nullif(q.quotes_in_hours, 0),
         null::timestamptz),
        ('locked_share', q.locked::double precision / nullif(q.quotes_in_hours, 0), null),
        ('one_sided_share',
         greatest(q.no_bid, q.no_ask)::double precision / nullif(q.quotes_in_hours, 0), null),
        ('wide_share', q.wide::double precision / nullif(q.quotes_in_hours, 0), null),
        ('duplicate_share', q.duplicates::double precision / nullif(q.rows, 0), null),
        ('outside_share', q.outside::double precision / nullif(q.trades_in_hours, 0), null),
        ('late_share', q.late::double precision / nullif(q.rows, 0), null),
        ('jump', q.max_jump, q.max_jump_ts),
        ('silence_s', q.max_silence_s, q.max_silence_from),
        ('latency_p99_s', q.latency_p99_s, null)
    ) c (rule, observed, ts)
    where q.state <> case when p_measured then 'fresh' else 'outdated' end
        and q.feed_id = v_feed_id and q.day >= market._quality_day(p_from)
        and q.day <= market._quality_day(p_to - interval '1 microsecond')
        and c.observed > (t.rules->>c.rule)::double precision
    union all
    select c.rule, null, null, l.day::timestamp at time zone 'America/New_York', c.observed,
           (v_rules->>c.rule)::double precision
    from market._feed_losses(v_feed_id, market._quality_day(p_from),
                             market._quality_day(p_to - interval '1 microsecond')) l
    cross join lateral (values
        ('quarantined_share', l.quarantined_share), ('missing_rows', l.missing)
    ) c (rule, observed)
    where c.observed > (v_rules->>c.rule)::double precision
    union all
    select b.rule, b.instrument_id, b.symbol, b.ts, b.observed, b.threshold
    from market._check_bars(v_feed_id, p_from, p_to) b
    order by 4, 3, 1;
end
$$;
comment on function market.check_quality(text, timestamptz, timestamptz, boolean) is
    'What goes beyond the thresholds of the quality rules in a feed: rule, instrument, where, observed, threshold.';
grant execute on function market.check_quality(text, timestamptz, timestamptz, boolean) to tsdb_reader;
