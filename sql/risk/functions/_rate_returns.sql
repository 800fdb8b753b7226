-- The change of a rate between two currencies from one of p_dates to the next, as known at a time; the first from the
-- rate before it. Of a date without a rate the one before counts (ref._latest_rate), null where that is too old.
create or replace function risk._rate_returns(
    p_from text, p_to text, p_dates date[], p_known_at timestamptz, p_max_age interval
)
returns double precision[]
language plpgsql
stable
as $$
begin
    return array(
        select r.rate::double precision / nullif(lag(r.rate) over (order by r.n), 0)::double precision - 1
        from (
            select d.n, ref._latest_rate(p_from, p_to, d.date, p_known_at, p_max_age) as rate
            from unnest((p_dates[1] - 1) || p_dates) with ordinality as d (date, n)) r
        order by r.n offset 1);
end
$$;
comment on function risk._rate_returns(text, text, date[], timestamptz, interval) is
    'The change of a rate between two currencies from date to date.';
