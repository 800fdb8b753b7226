-- Daily returns of a position of weights per unit of notional, oldest first: sum of weight * simple
-- return of the adjusted close, over the days on which every symbol has a bar. For a pair of notional 1 in
-- leg A: weights {1, -hedge_ratio}. Uses bars of days before that of p_as_of in New York, and the corporate
-- actions known at p_as_of; the last p_days of them.
-- Errors: TT001 symbols and weights that do not match, fewer than p_days returns; TT002 unknown symbol.
create or replace function signal.daily_returns(
    p_symbols text[],
    p_weights double precision[],
    p_feed text,
    p_as_of timestamptz,
    p_days integer default 60
)
returns double precision[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_last date := (p_as_of at time zone 'America/New_York')::date - 1;
    v_returns double precision[];
begin
    if (cardinality(p_symbols) >= 1 and cardinality(p_symbols) = cardinality(p_weights)) is not true
        or array_position(p_weights, null) is not null
    then
        raise exception 'a position needs symbols, and a weight for each' using errcode = 'TT001';
    elsif (p_days between 2 and 10000) is not true or p_as_of is null then
        raise exception 'give a time, and from 2 to 10000 days' using errcode = 'TT001';
    end if;
    with closes as (
        select d.date, u.leg, u.weight, d.close
        from unnest(p_symbols, p_weights) with ordinality u (symbol, weight, leg)
        cross join lateral market.adjusted_daily(
            -- Two calendar days per trading day, and a fortnight of holidays.
            ref.instrument_id(u.symbol), v_last - 2 * p_days - 14, v_last, p_as_of, 'all', p_feed) d
        where d.close > 0
    ),
    complete as (
        select c.date from closes c group by c.date having count(*) = cardinality(p_symbols)
    ),
    legs as (
        select c.date, c.leg,
               c.weight * (c.close / lag(c.close) over (partition by c.leg order by c.date) - 1) as part
        from closes c join complete using (date)
    ),
    days as (
        select l.date, sum(l.part order by l.leg) as part from legs l
        group by l.date having count(l.part) = cardinality(p_symbols)
        order by l.date desc limit p_days
    )
    select array_agg(d.part order by d.date) into v_returns from days d;
    if cardinality(v_returns) is distinct from p_days then
        raise exception '% has % daily returns before %, not %', array_to_string(p_symbols, ' '),
            coalesce(cardinality(v_returns), 0), p_as_of, p_days using errcode = 'TT001';
    end if;
    return v_returns;
end
$$;
comment on function signal.daily_returns(text[], double precision[], text, timestamptz, integer) is
    'Daily returns of a position of weights per unit of notional, known at a time; oldest first.';
grant execute on function signal.daily_returns(text[], double precision[], text, timestamptz, integer) to tsdb_reader;
