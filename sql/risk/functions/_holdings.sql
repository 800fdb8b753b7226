-- The positions of a session (and account) with their values at the latest marks, signed, in the account's
-- currency. Where there is no value that can be used it is null, with the problem.
create or replace function risk._holdings(p_session_id uuid, p_account text, p_as_of timestamptz)
returns table (
    account text, strategy_id integer, instrument_id integer, position_value double precision,
    marked_at timestamptz, problem text)
language sql
stable
as $$
    select p.account, p.strategy_id, p.instrument_id, case when x.problem is null then x.position_value end, q.ts, x.problem
    from portfolio._positions p
    join ref.instruments i using (instrument_id)
    join ref.accounts a on a.account = p.account
    cross join risk._var_settings() c
    left join market.latest_quotes q
        on q.session_id = p.session_id and q.instrument_id = p.instrument_id
    -- A factor of 1 changes no figure.
    cross join lateral (
        select case when i.currency = a.currency then 1
            else portfolio._rate_at(i.currency, a.currency, p_as_of)::double precision end as rate) r
    cross join lateral (
        select p.quantity::double precision * (q.bid_price + q.ask_price) / (2 * i.price_unit) * r.rate,
            case
                when q.ts is null then 'no mark of ' || i.symbol
                when (q.ts >= p_as_of - c.max_mark_age) is not true then 'the mark of ' || i.symbol || ' is too old'
                when r.rate is null then i.symbol || ': ' || portfolio._rate_problem(i.currency, a.currency, p_as_of)
            end) as x (position_value, problem)
    where p.session_id = p_session_id and (p_account is null or p.account = p_account) and p.quantity <> 0
$$;
comment on function risk._holdings(uuid, text, timestamptz) is 'Positions with their values at the latest marks.';
