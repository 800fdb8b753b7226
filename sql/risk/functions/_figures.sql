-- What the risk monitor looks at, for every account of a session (strategy_id 0) and every strategy in it:
-- amounts in account currency, concentrations as fractions of 1, mark_age in seconds. A figure is null where
-- it cannot be known: a held position without a mark, or one in a currency other than the account's.
-- The trading day is by the calendar that the session's parameter "calendar" names, or that of UTC.
-- var is that of accounts (a strategy's has no limit of its own: null), measured only where one is limited, because it costs
-- more than the rest together.
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
            bool_and(i.currency = a.currency and (p.quantity = 0 or p.mark is not null)) as known,
            sum(p.net_pnl) as total_pnl,
            coalesce(sum(p.quantity * p.mark) filter (where p.quantity <> 0), 0) as value,
            min(p.marked_at) filter (where p.quantity <> 0) as marked_at
        from portfolio.pnl p
        join ref.instruments i using (instrument_id)
        join ref.accounts a using (account)
        where p.session_id = p_session_id
        group by grouping sets ((p.account, p.instrument_id, i.sector),
            (p.account, p.strategy_id, p.instrument_id, i.sector))),
    sectors as (
        select l.*, sum(abs(l.value)) over (partition by l.account, l.strategy_id, l.sector) as sector_value
        from lines l),
    subjects as (
        select l.account, l.strategy_id, bool_and(l.known) as known, bool_or(l.held) as held,
            sum(l.total_pnl) as total_pnl, sum(abs(l.value)) as gross, abs(sum(l.value)) as net,
            max(abs(l.value)) as largest, max(l.sector_value) as largest_sector, min(l.marked_at) as marked_at
        from sectors l
        group by l.account, l.strategy_id)
    select p_session_id, b.account, b.strategy_id, t.strategy, v_day.trading_date, o.first_as_of,
        case when v_day.trading_date is not null then o.opening_pnl end,
        greatest(m.high_water, 0, case when b.known then b.total_pnl end),
        case when b.known then b.total_pnl end,
        case when b.known then b.gross end,
        case when b.known then b.net end,
        case when b.known then coalesce(b.largest / nullif(b.gross, 0), 0) end,
        case when b.known then coalesce(b.largest_sector / nullif(b.gross, 0), 0) end,
        case when v_limited and b.strategy_id = 0 then risk._var_of(p_session_id, b.account, p_as_of)::numeric end,
        -- A night is no age: marks are as old as the market was open since.
        case when not b.held then 0
             when b.known then greatest(extract(epoch from
                 p_as_of - greatest(b.marked_at, v_day.opens_at, o.first_as_of)), 0) end
    from subjects b
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
