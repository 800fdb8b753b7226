-- When a vendor's bar was known: a daily one at the close of its date (backtest._day_hours), any other
-- at its end. p_ts is the start of the bar, p_resolution as in market.source_bars.
create or replace function backtest.bar_known_at(p_ts timestamptz, p_resolution text)
returns timestamptz
language sql
stable
parallel safe
as $$
    -- A daily bar starts at midnight of its date, wherever its market is.
    select case p_resolution
        when '1d' then (
            select h.closes_at
            from backtest._day_hours(((p_ts + interval '12 hours') at time zone 'UTC')::date) h)
        else p_ts + p_resolution::interval end
$$;
comment on function backtest.bar_known_at(timestamptz, text) is 'When a vendor''s bar was known.';
grant execute on function backtest.bar_known_at(timestamptz, text) to tsdb_reader;
