-- What looks wrong in a feed's daily bars (market.source_bars, 1d), from p_from to p_to.
--
-- finding is one of
--   missing_value   fields that are null: observed counts them, detail names them;
--   no_volume       a volume of zero;
--   high_below_low  as it says;
--   outside_range   open or close outside of low to high;
--   missing_day     between its first and last bar an instrument has none on a day on which at least
--                   half as many have one as on the fullest day;
--   short_history   it has fewer bars (observed) than the feed has such days (threshold);
--   rejected        a row in quarantine, which names no instrument and no date: see detail;
-- and for a change of the close by more than the rule daily_jump (observed: the return)
--   bad_tick        the next day takes it back, but for the part daily_reversal;
--   explained       ref has a split, spin-off or dividend of that day;
--   distribution    it looks like a split, spin-off or special dividend that is not adjusted for: a
--                   fall, mostly (daily_gap) there at the open, without an unusual turnover
--                   (daily_turnover);
--   jump            anything else.
-- The last two, and a true jump that is taken back the next day, cannot be told apart for certain:
-- bad news in thin trading looks like a spin-off, a spin-off in heavy trading like news. Rises are
-- always jumps, reverse splits too.
-- Thresholds are rows of market.quality_thresholds. Raises TT002 for an unknown feed.
create or replace function market.daily_suspects(
    p_feed text, p_from date default '-infinity', p_to date default 'infinity'
)
returns table (
    instrument_id integer,
    symbol text,
    date date,
    finding text,
    observed double precision,
    threshold double precision,
    detail jsonb
)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    v_feed_id integer;
    v_rules jsonb := market._quality_thresholds(p_feed, null);
    v_jump double precision := v_rules->>'daily_jump';
    v_reversal double precision := v_rules->>'daily_reversal';
begin
    select f.feed_id into v_feed_id from ops.feeds f where f.feed = p_feed;
    if v_feed_id is null then
        raise exception 'unknown feed %', coalesce(p_feed, 'null') using errcode = 'TT002';
    end if;
    return query
    with bars as materialized (
        select b.instrument_id, x.date, b.ts, b.open, b.high, b.low, b.close, b.volume,
               lag(b.close) over history as last_close,
               lag(b.close, 2) over history as earlier_close,
               lead(b.close) over history as next_close
        from market._source_bars b
        -- A bar starts at midnight of its date, wherever its market is.
        cross join lateral (
            select ((b.ts + interval '12 hours') at time zone 'UTC')::date as date) x
        where b.feed_id = v_feed_id and b.resolution = '1d' and b.side = 'trade'
            and x.date between p_from and p_to
        window history as (partition by b.instrument_id order by b.ts, b.source_id, b.seq)
    ),
    days as materialized (
        select d.date
        from (select b.date, count(*) as bars, max(count(*)) over () as most
              from bars b group by b.date) d
        where 2 * d.bars >= d.most
    ),
    spans as materialized (
        select b.instrument_id, min(b.date) as first, max(b.date) as last, count(*) as bars
        from bars b group by b.instrument_id
    ),
    absent as (
        select s.instrument_id, d.date
        from spans s join days d on d.date > s.first and d.date < s.last
        except
        select b.instrument_id, b.date from bars b
    ),
    jumps as (
        select b.*, b.close::float8 / b.last_close - 1 as jump,
               b.open::float8 / b.last_close as opening
        from bars b
        where abs(b.close::float8 / nullif(b.last_close, 0) - 1) > v_jump
            -- The way back from a bad tick is none.
            and not coalesce(
                abs(b.last_close::float8 / nullif(b.earlier_close, 0) - 1) > v_jump
                and abs(b.close::float8 / nullif(b.earlier_close, 0) - 1)
                    <= v_reversal * abs(b.last_close::float8 / b.earlier_close - 1), false)
    ),
    judged as (
        select j.instrument_id, j.date, j.jump, t.turnover,
               case
                   when abs(j.next_close::float8 / j.last_close - 1) <= v_reversal * abs(j.jump)
                       then 'bad_tick'
                   when market._has_action(j.instrument_id, j.date) then 'explained'
                   when j.jump < 0 and j.opening < 1
                       and ln(j.opening) <= (v_rules->>'daily_gap')::float8 * ln(1 + j.jump)
                       and t.turnover <= (v_rules->>'daily_turnover')::float8
                       then 'distribution'
                   else 'jump'
               end as finding
        from jumps j
        cross join lateral (
            select j.volume::float8 * j.close / nullif(
                       percentile_cont(0.5) within group (order by r.volume::float8 * r.close), 0)
                       as turnover
            from (
                select b.volume, b.close from market._source_bars b
                where b.instrument_id = j.instrument_id and b.resolution = '1d' and b.ts < j.ts
                    and b.side = 'trade' and b.feed_id = v_feed_id
                order by b.ts desc limit 20) r
            -- Fewer say little about what is usual.
            having count(*) >= 5
            union all
            select null
            limit 1) t
    ),
    found as (
        select b.instrument_id, b.date, c.finding, c.observed, c.threshold, c.detail
        from bars b
        cross join lateral (values
            ('missing_value', num_nulls(b.open, b.high, b.low, b.close, b.volume) > 0,
             num_nulls(b.open, b.high, b.low, b.close, b.volume)::float8, 0::float8),
            ('no_volume', b.volume = 0, 0, 0),
            ('high_below_low', b.high < b.low, b.high::float8 / nullif(b.low, 0) - 1, 0),
            ('outside_range',
             least(b.open, b.close) < b.low or greatest(b.open, b.close) > b.high,
             greatest(b.low - least(b.open, b.close), greatest(b.open, b.close) - b.high)::float8
                 / nullif(b.close, 0), 0)
        ) w (finding, wrong, observed, threshold)
        cross join lateral (
            select w.finding, w.observed, w.threshold, jsonb_build_object(
                'open', b.open, 'high', b.high, 'low', b.low, 'close', b.close,
                'volume', b.volume) as detail) c
        where w.wrong
        union all
        select a.instrument_id, a.date, 'missing_day', 1, 0, '{}' from absent a
        union all
        select s.instrument_id, s.first, 'short_history', s.bars, n.days,
               jsonb_build_object('first', s.first, 'last', s.last)
        from spans s
        cross join (select count(*) as days from days) n
        where s.bars < n.days
        union all
        select j.instrument_id, j.date, j.finding, j.jump, v_jump,
               jsonb_build_object('turnover', round(j.turnover::numeric, 2))
        from judged j
        union all
        select null, null, 'rejected', 1, 0,
               jsonb_build_object('reason', q.reason, 'raw', q.raw, 'source', q.source,
                                  'position', q.position)
        from market.quarantine q where q.feed_id = v_feed_id
    )
    select f.instrument_id, i.symbol, f.date, f.finding, f.observed, f.threshold, f.detail
    from found f
    left join ref.instruments i on i.instrument_id = f.instrument_id
    order by f.finding, i.symbol, f.date;
end
$$;
comment on function market.daily_suspects(text, date, date) is
    'What looks wrong in a feed''s daily bars: missing values and days, impossible bars, bad ticks, unadjusted splits and spin-offs, jumps.';
grant execute on function market.daily_suspects(text, date, date) to tsdb_reader;
