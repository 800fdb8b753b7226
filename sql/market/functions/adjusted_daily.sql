-- An instrument's daily bars from p_from to p_to, adjusted for the corporate actions that were known
-- at p_known_at.
--
-- p_adjust: all (splits, spin-offs and dividends), capital (no dividends), splits, none.
-- A price of a day before an ex-date is multiplied by old_shares / new_shares of each split after it
-- (split_factor) and by price_factor: 1 - amount / close for each dividend, close being the last one
-- before the ex-date (as Yahoo and LEAN do), and likewise for a spin-off of a known value; else
-- close / (close + ratio * child's close), all of the ex-date (CRSP's factor to adjust price is
-- ratio * child's close / close), so that the return of that day is that of a holder of both.
-- Volume is divided by split_factor. Products of factors are exact, and divided once, to 24 decimals.
-- An action counts if its ex-date is not after the last stored bar, and not after both p_to and
-- p_known_at: prices are those of the last bar then known, whatever was announced for later.
-- p_feed: whose bars; may be left out if only one has any. p_bars: vendor (as loaded), or ticks
-- (market.bars_1d). Raises TT001 for input that cannot be, or a factor that cannot be known; TT002
-- for an unknown instrument or feed.
create or replace function market.adjusted_daily(
    p_instrument_id integer,
    p_from date,
    p_to date,
    p_known_at timestamptz default 'infinity',
    p_adjust text default 'all',
    p_feed text default null,
    p_bars text default 'vendor'
)
returns table (
    date date,
    open double precision,
    high double precision,
    low double precision,
    close double precision,
    volume double precision,
    split_factor numeric,
    price_factor numeric,
    unadjusted_close double precision
)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    v_last date;
begin
    if not coalesce(p_adjust in ('all', 'capital', 'splits', 'none')
        and p_bars in ('vendor', 'ticks') and p_from <= p_to and p_known_at is not null, false)
    then
        raise exception 'cannot adjust from % to %, known at %, for %, bars of %: see market.adjusted_daily',
            p_from, p_to, p_known_at, p_adjust, p_bars using errcode = 'TT001';
    end if;
    if not exists (select from ref.instruments i where i.instrument_id = p_instrument_id) then
        raise exception 'unknown instrument %', coalesce(p_instrument_id::text, 'null')
            using errcode = 'TT002';
    end if;
    select max(b.date) into v_last
    from market._daily_bars(p_instrument_id, p_from, 'infinity', p_feed, p_bars) b;
    v_last := least(v_last, greatest(p_to, (p_known_at at time zone 'UTC')::date));
    return query
    -- For days from since on, before ex_date.
    with factors as materialized (
        select coalesce(lag(a.ex_date) over (order by a.ex_date), '-infinity') as since, a.ex_date,
               -- A quotient has as many decimals as its numerator.
               round(round(1.0, 24) * market._product(a.old_shares) over later
                   / market._product(a.new_shares) over later, 24) as split_factor,
               round(round(1.0, 24) * market._product(a.kept) over later
                   / market._product(a.whole) over later, 24) as price_factor
        from market._daily_actions(
            p_instrument_id, p_from, v_last, p_known_at, p_adjust, p_feed, p_bars) a
        window later as (order by a.ex_date desc)
    )
    select b.date, (b.open * f.factor)::float8, (b.high * f.factor)::float8,
           (b.low * f.factor)::float8, (b.close * f.factor)::float8,
           (b.volume / f.split_factor)::float8, f.split_factor, f.price_factor, b.close::float8
    from market._daily_bars(p_instrument_id, p_from, p_to, p_feed, p_bars) b
    left join factors a on b.date >= a.since and b.date < a.ex_date
    cross join lateral (
        select coalesce(a.split_factor, 1) as split_factor,
               coalesce(a.price_factor, 1) as price_factor,
               coalesce(a.split_factor * a.price_factor, 1) as factor) f
    order by b.date;
end
$$;
comment on function
    market.adjusted_daily(integer, date, date, timestamptz, text, text, text) is
    'Daily bars adjusted for splits, spin-offs and dividends as known at a time; p_adjust: all, capital, splits or none.';
grant execute on function
    market.adjusted_daily(integer, date, date, timestamptz, text, text, text) to tsdb_reader;
