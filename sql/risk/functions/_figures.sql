-- What the risk monitor looks at, for every account of a session (strategy_id 0) and every strategy in it:
-- amounts in account currency, concentrations as fractions of 1, mark_age in seconds. A figure is null where
-- it cannot be known, and problem says why: a held position without a mark, a currency without a rate.
-- The trading day is by the calendar that the session's parameter "calendar" names, or that of UTC.
-- var is measured only where one is limited, because it costs more than the rest together.
create or replace function risk._figures(p_session_id uuid, p_as_of timestamptz)
returns setof risk.figures
language plpgsql
stable
as $$
declare
    v_day record;
    v_limited constant boolean := exists (
        select from risk.monitor_limits l
        where l.measure = 'var' and l.superseded_at = 'infinity' and p_as_of >= l.valid_from and p_as_of < l.valid_to);
begin
    select d.* into v_day
    from ops.sessions s cross join lateral risk._trading_day(s.parameters->>'calendar', p_as_of) d
    where s.session_id = p_session_id;
    return query
    with lines as (
        -- Netted per instrument: an account that is long in one strategy and short in another is flat.
        select p.account, coalesce(p.strategy_id, 0) as strategy_id, p.instrument_id, i.sector,
            bool_or(p.quantity <> 0) as held,
            bool_and(p.quantity = 0 or p.mark * x.rate is not null) as known,
            bool_and(p.net_pnl * x.rate is not null) as earned_known,
            sum(p.net_pnl * x.rate) as total_pnl,
            coalesce(sum(p.quantity * p.mark * x.rate) filter (where p.quantity <> 0), 0) as value,
            min(p.marked_at) filter (where p.quantity <> 0) as marked_at,
            case when bool_or(x.rate is null) then portfolio._rate_problem(p.currency, a.currency, p_as_of)
                when bool_or(p.net_pnl is null) then 'no mark, or no rate for a dividend or funding, of ' || p.symbol end as problem
        from portfolio.pnl p
        join ref.instruments i using (instrument_id)
        join ref.accounts a using (account)
        cross join lateral (
            select case when p.currency = a.currency then 1
                else portfolio._rate_at(p.currency, a.currency, p_as_of) end as rate) x
        where p.session_id = p_session_id
        group by p.account, p.instrument_id, p.symbol, i.sector, p.currency, a.currency,
            grouping sets ((), (p.strategy_id))),
    sectors as (
        select l.*, sum(abs(l.value)) over (partition by l.account, l.strategy_id, l.sector) as sector_value
        from lines l),
    subjects as (
        select l.account, l.strategy_id, bool_and(l.known) as known, bool_and(l.earned_known) as earned_known, bool_or(l.held) as held,
            sum(l.total_pnl) as total_pnl, sum(abs(l.value)) as gross, abs(sum(l.value)) as net,
            max(abs(l.value)) as largest, max(l.sector_value) as largest_sector, min(l.marked_at) as marked_at,
            string_agg(distinct l.problem, '; ') as problem
        from sectors l
        group by l.account, l.strategy_id),
    vars as (
        select v.account, coalesce(v.strategy_id, 0) as strategy_id, risk._var_of(v.pnl) as var, v.reason
        from risk._pnl_vectors(p_session_id, null, p_as_of) v
        where v_limited)
    select p_session_id, b.account, b.strategy_id, t.strategy, v_day.trading_date, o.first_as_of,
        case when v_day.trading_date is not null then o.opening_pnl end,
        greatest(m.high_water, 0, case when b.earned_known then b.total_pnl end),
        case when b.earned_known then b.total_pnl end,
        case when b.known then b.gross end,
        case when b.known then b.net end,
        case when b.known then coalesce(b.largest / nullif(b.gross, 0), 0) end,
        case when b.known then coalesce(b.largest_sector / nullif(b.gross, 0), 0) end,
        -- What holds nothing has no vector, and nothing at risk.
        case when not v_limited then null when b.held then r.var::numeric else 0 end,
        -- A night is no age: marks are as old as the market was open since.
        case when not b.held then 0
             when b.known then greatest(extract(epoch from
                 p_as_of - greatest(b.marked_at, v_day.opens_at, o.first_as_of)), 0) end,
        b.problem, r.reason
    from subjects b
    left join vars r on r.account = b.account and r.strategy_id = b.strategy_id
    left join signal.strategies t on t.strategy_id = b.strategy_id
    left join risk.monitor_states m
        on m.session_id = p_session_id and m.account = b.account and m.strategy_id = b.strategy_id
    left join lateral (
        -- Marked before there was a monitor; at most once per subject.
        select sum(h.realized_pnl + h.unrealized_pnl - h.fees) as total_pnl
        from portfolio.pnl_history h
        where m.session_id is null and h.session_id = p_session_id and h.account = b.account
            and (b.strategy_id = 0 or h.strategy_id = b.strategy_id)
            and h.as_of = (
                select max(x.as_of) from portfolio.pnl_history x
                where x.session_id = p_session_id and x.as_of <= v_day.starts_at)) h on true
    cross join lateral (
        select case when same.day then m.first_as_of else p_as_of end as first_as_of,
            case when same.day then m.opening_pnl else coalesce(m.total_pnl, h.total_pnl, 0) end as opening_pnl
        from (select coalesce(m.trading_date = v_day.trading_date, m.session_id is not null) as day) same) o;
end
$$;
comment on function risk._figures(uuid, timestamptz) is
    'P&L, exposure, concentration and age of the marks of every account and strategy of a session.';
