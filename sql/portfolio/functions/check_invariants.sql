-- Checks one session's books against each other, from the rows alone. One row per promise: passed, and a
-- detail with the figures behind it. For the end of a session, not for a dashboard.
-- Errors: TT002 unknown session.
create or replace function portfolio.check_invariants(p_session_id uuid)
returns table (invariant text, passed boolean, detail text)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    if p_session_id is null or not exists (select from ops.sessions s where s.session_id = p_session_id) then
        raise exception 'session % does not exist', coalesce(p_session_id::text, 'null') using errcode = 'TT002';
    end if;

    return query
    with compared as (
        select l.account is null or p.account is null or (l.quantity, l.cost, l.realized_pnl, l.fees, l.cash,
                l.bought_quantity, l.sold_quantity, l.dividends)
            is distinct from (p.quantity, p.cost, p.realized_pnl, p.fees, p.cash, p.bought_quantity,
                p.sold_quantity, p.dividends) as differs
        from portfolio._live(p_session_id) l
        full join (select * from portfolio._positions q where q.session_id = p_session_id) p
            using (account, strategy_id, instrument_id)
        -- A position whose only fills were busted is empty, and nothing tells of it.
        where l.account is not null or (p.quantity, p.cost, p.cash, p.fees) <> (0, 0, 0, 0))
    select 'live positions = executions and corporate actions booked anew', count(*) filter (where differs) = 0,
        format('%s positions, %s differ', count(*), count(*) filter (where differs))
    from compared;

    return query
    with found as (
        select m.method, b.account, b.strategy_id, b.instrument_id, b.quantity,
            -- With any mark, unrealized = quantity * mark - cost: the marks are the same in all of them.
            b.realized_pnl - b.cost as earned, b.realized_pnl - b.fees - b.cash - b.cost as off
        from unnest('{average,fifo,lifo,specific}'::text[]) m (method)
        cross join lateral portfolio._booked(p_session_id, 'infinity', 'infinity', 'infinity', m.method) b),
    -- A spin-off moves a share of the cost to another instrument, and what the cost is depends on the method: the
    -- sum over both does not.
    earnings as (
        select f.account, f.strategy_id, count(distinct f.earned) as results
        from (
            select f.method, f.account, f.strategy_id, i.currency, sum(f.earned) as earned
            from found f join ref.instruments i using (instrument_id)
            group by f.method, f.account, f.strategy_id, i.currency) f
        group by f.account, f.strategy_id, f.currency),
    compared as (
        select count(*) filter (where f.off <> 0) as untied, count(distinct f.quantity) as quantities,
            (select max(e.results) from earnings e
             where (e.account, e.strategy_id) = (f.account, f.strategy_id)) as results
        from found f group by f.account, f.strategy_id, f.instrument_id)
    select 'realized + unrealized P&L is the same by every method, and ties to cash',
        count(*) filter (where c.untied > 0 or c.quantities > 1 or c.results > 1) = 0,
        format('%s positions, %s untied, %s differ by method', count(*), count(*) filter (where c.untied > 0),
            count(*) filter (where c.quantities > 1 or c.results > 1))
    from compared c;

    return query
    with positions as (
        select b.account, i.currency, sum(b.cash) as cash
        from portfolio._booked(p_session_id, 'infinity', 'infinity', 'infinity', 'average') b
        join ref.instruments i using (instrument_id)
        group by b.account, i.currency),
    entries as (
        select e.account, e.currency, sum(e.amount) as cash
        from portfolio._entries(p_session_id, 'infinity', 'infinity', 'infinity') e
        where e.entry_id is null and e.kind not in ('dividend', 'distribution')
        group by e.account, e.currency)
    select 'cash of the positions = sum of the entries, by account and currency',
        count(*) filter (where coalesce(p.cash, 0) <> coalesce(e.cash, 0)) = 0,
        format('%s purses, %s differ', count(*),
            count(*) filter (where coalesce(p.cash, 0) <> coalesce(e.cash, 0)))
    from positions p full join entries e using (account, currency);

    return query
    with moved as (
        select q.account, q.trading_date, q.pnl, q.flows,
            q.equity - lag(q.equity, 1, 0::numeric) over (partition by q.account order by q.trading_date) as change
        from portfolio.equity_at(p_session_id) q)
    select 'change of equity = P&L + deposits and withdrawals, every day',
        count(*) filter (where m.change <> m.pnl + m.flows) = 0,
        format('%s days, %s differ, %s without a mark or rate', count(*),
            count(*) filter (where m.change <> m.pnl + m.flows), count(*) filter (where m.change is null))
    from moved m;
end
$$;
comment on function portfolio.check_invariants(uuid) is
    'Checks that the books of a session agree with each other: one row per promise, passed or not, with its figures.';
grant execute on function portfolio.check_invariants(uuid)
    to tsdb_reader;
