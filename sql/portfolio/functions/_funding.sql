-- What portfolio.book_cash booked to one position up to a time, as known at a time, in p_currency at the
-- rates of its days; null where one is missing.
create or replace function portfolio._funding(
    p_session_id uuid,
    p_account text,
    p_strategy_id integer,
    p_instrument_id integer,
    p_currency text,
    p_as_of timestamptz,
    p_known_at timestamptz
)
returns numeric
language sql
stable
as $$
    select case
        when count(*) = 0 then 0
        when bool_and(x.rate is not null) then sum(c.amount * x.rate) end
    from portfolio._cash_entries c
    cross join lateral (select ref.fx_rate(c.currency, p_currency, c.trade_date, p_known_at) as rate) x
    where c.session_id = p_session_id and c.account = p_account and c.strategy_id = p_strategy_id
        and c.instrument_id = p_instrument_id and c.kind not in ('deposit', 'withdrawal', 'transfer')
        and c.ts <= p_as_of and c.recorded_at <= p_known_at
$$;
comment on function portfolio._funding(uuid, text, integer, integer, text, timestamptz, timestamptz) is
    'What was booked to one position by hand or from a statement.';
