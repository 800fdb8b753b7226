-- risk._aligned_returns of a holder who counts in a currency: return and change of the rate compounded,
-- (1 + r) (1 + x) - 1; unchanged for instruments in that currency.
create or replace function risk._converted_returns(
    p_dates date[], p_settings risk.var_settings, p_currency text, p_known_at timestamptz
)
returns table (instrument_id integer, returns double precision[], gaps integer, reason text)
language plpgsql
stable
as $$
#variable_conflict use_column
begin
    return query
        with local as materialized (
            select w.*, i.currency
            from risk._aligned_returns(p_dates, p_settings) w
            join ref.instruments i using (instrument_id)),
        rates as materialized (
            select c.currency,
                risk._rate_returns(c.currency, p_currency, p_dates, p_known_at, p_settings.max_rate_age) as changes
            from (select distinct l.currency from local l where l.currency <> p_currency) c)
        select l.instrument_id,
            case when x.changes is null then l.returns else array(
                select (1 + u.r) * (1 + u.x) - 1
                from unnest(l.returns, x.changes) with ordinality as u (r, x, n) order by u.n) end,
            l.gaps,
            coalesce(l.reason, case when array_position(x.changes, null) is not null then format(
                'no rate between %s and %s on some of the days', l.currency, p_currency) end)
        from local l
        left join rates x on x.currency = l.currency;
end
$$;
comment on function risk._converted_returns(date[], risk.var_settings, text, timestamptz) is
    'Each instrument''s returns over given dates for who counts in a currency, with what is missing.';
