-- How much of p_to one of p_from was at the close of a day, as known at a time: the rate recorded for
-- that very day, or the inverse of the opposite one, to 18 decimals. Null where there is neither: no
-- other day's rate and no third currency stands in.
create or replace function ref.fx_rate(
    p_from text, p_to text, p_date date, p_known_at timestamptz default 'infinity'
)
returns numeric
language sql
stable
parallel safe
begin atomic
    select case when p_from = p_to then 1 else coalesce(
        (select r.rate from ref.fx_rates r
         where r.base_currency = p_from and r.quote_currency = p_to and r.date = p_date
             and ref._known(r.known_at, r.superseded_at, p_known_at)),
        (select round(round(1.0, 30) / r.rate, 18) from ref.fx_rates r
         where r.base_currency = p_to and r.quote_currency = p_from and r.date = p_date
             and ref._known(r.known_at, r.superseded_at, p_known_at))) end;
end;
comment on function ref.fx_rate(text, text, date, timestamptz) is
    'The closing rate of a day between two currencies, as known at a time; null where none is recorded.';
grant execute on function ref.fx_rate(text, text, date, timestamptz)
    to tsdb_reader;
