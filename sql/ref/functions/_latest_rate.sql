-- The newest rate between two currencies that is usable on a date, as known at a time: how much of p_to one of
-- p_from is. A closing rate is used on its own day and p_max_age after it, so that weekends and holidays have one.
-- The rate recorded or the inverse of the opposite one, as in ref.fx_rate; no third currency. Null where there is
-- neither.
create or replace function ref._latest_rate(
    p_from text, p_to text, p_date date, p_known_at timestamptz, p_max_age interval
)
returns numeric
language plpgsql
stable
as $$
begin
    if p_from = p_to then
        return 1;
    end if;
    return (
        select x.rate
        from (
            (select r.rate, r.date, 1 as place from ref.fx_rates r
             where r.base_currency = p_from and r.quote_currency = p_to and r.date <= p_date
                 and r.date >= p_date - p_max_age and ref._known(r.known_at, r.superseded_at, p_known_at)
             order by r.date desc limit 1)
            union all
            (select round(round(1.0, 30) / r.rate, 18), r.date, 2 from ref.fx_rates r
             where r.base_currency = p_to and r.quote_currency = p_from and r.date <= p_date
                 and r.date >= p_date - p_max_age and ref._known(r.known_at, r.superseded_at, p_known_at)
             order by r.date desc limit 1)) x
        order by x.date desc, x.place limit 1);
end
$$;
comment on function ref._latest_rate(text, text, date, timestamptz, interval) is
    'The newest rate between two currencies that is usable on a date, as known at a time.';
