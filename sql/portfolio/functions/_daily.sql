-- The P&L of one session day by day up to a date, as known at a time: a row per account, strategy,
-- instrument and currency, and one per account and currency for the cash (neither strategy nor
-- instrument). Average cost. The convention is docs/portfolio.md.
--
-- Every flow of a day, and the P&L of a day in its currency, is converted at the closing rate of that day;
-- fx is what the opening value gained by the change of the rate since the day before. So the sum of
-- total_account and flows_account over an account is the change of its equity, to the last digit.
-- A missing mark or rate makes null what depends on it.
create or replace function portfolio._daily(p_session_id uuid, p_to date, p_known_at timestamptz)
returns table (
    account text, strategy_id integer, instrument_id integer, trading_date date, currency text,
    opening_quantity numeric, closing_quantity numeric, opening_mark numeric, closing_mark numeric,
    mark_source text, realized numeric, unrealized_change numeric, fees numeric, dividends numeric,
    funding numeric, total numeric, account_currency text, rate numeric, price_pnl numeric, fx numeric,
    total_account numeric, flows numeric, flows_account numeric, value_account numeric
)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    v_to constant date := coalesce(p_to, portfolio._last_day(p_session_id));
begin
    return query
    with lines as materialized (
        select e.account, e.strategy_id, e.instrument_id, f.trade_date, f.n, f.position, f.position_cost,
            f.realized, f.fee, f.cash, f.income, f.currency
        from portfolio._events(p_session_id, 'infinity', v_to, p_known_at, 'average') e
        cross join lateral portfolio._fold(e.events, 'average', false) f
    ),
    entries as materialized (
        select c.* from portfolio._cash_entries c
        where c.session_id = p_session_id and c.trade_date <= v_to and c.recorded_at <= p_known_at
    ),
    -- Amounts by what they belong to; currency null: the instrument's own.
    amounts as (
        select l.account, l.strategy_id, l.instrument_id, l.trade_date, null::text as currency, l.realized,
            l.fee as fees, 0::numeric as dividends, 0::numeric as funding, l.cash, 0::numeric as flows
        from lines l
        union all
        select l.account, l.strategy_id, l.instrument_id, l.trade_date, l.currency, 0, 0, l.income, 0, l.income, 0
        from lines l where l.income <> 0
        union all
        select c.account, c.strategy_id, c.instrument_id, c.trade_date, c.currency, 0,
            case when c.kind = 'fee' then -c.amount else 0 end,
            case when c.kind in ('dividend', 'cash_in_lieu') then c.amount else 0 end,
            case when c.kind in ('funding', 'interest', 'conversion', 'correction') then c.amount else 0 end,
            c.amount,
            case when c.kind in ('deposit', 'withdrawal', 'transfer') then c.amount else 0 end
        from entries c
    ),
    booked as materialized (
        select a.account, a.strategy_id, a.instrument_id, a.trade_date,
            coalesce(a.currency, i.currency) as currency, sum(a.realized) as realized, sum(a.fees) as fees,
            sum(a.dividends) as dividends, sum(a.funding) as funding, sum(a.cash) as cash,
            sum(a.flows) as flows
        from amounts a
        left join ref.instruments i using (instrument_id)
        group by 1, 2, 3, 4, 5
    ),
    held as materialized (
        select b.account, b.strategy_id, b.instrument_id, i.currency, min(b.trade_date) as since
        from booked b join ref.instruments i using (instrument_id)
        group by b.account, b.strategy_id, b.instrument_id, i.currency
    ),
    closes as materialized (
        select c.* from portfolio._closes(p_session_id,
            array(select distinct h.instrument_id from held h), (select min(b.trade_date) from booked b), v_to,
            p_known_at) c
    ),
    days as materialized (
        select d.day, lag(d.day) over (order by d.day) as day_before
        from (
            select b.trade_date as day from booked b
            union
            select c.date from closes c
            union
            select (max(q.ts) at time zone 'UTC')::date from market.latest_quotes q
            where q.session_id = p_session_id
            union
            -- Days on which a market was open where something was held.
            select k.date
            from (select h.instrument_id, min(h.since) as since from held h group by h.instrument_id) h
            join ref.listings l on l.instrument_id = h.instrument_id and l.is_primary
                and l.superseded_at = 'infinity'
            join ref.calendar_days k on k.exchange = l.venue and k.superseded_at = 'infinity'
                and k.date between h.since and v_to and k.date >= l.valid_from and k.date < l.valid_to) d
        where d.day <= v_to
    ),
    ended as (
        select distinct on (l.account, l.strategy_id, l.instrument_id, l.trade_date)
            l.account, l.strategy_id, l.instrument_id, l.trade_date, l.position, l.position_cost
        from lines l
        order by l.account, l.strategy_id, l.instrument_id, l.trade_date, l.n desc
    ),
    grid as (
        select h.account, h.strategy_id, h.instrument_id, h.currency, d.day, d.day_before, e.position,
            e.position_cost,
            count(e.position) over (partition by h.account, h.strategy_id, h.instrument_id order by d.day) as part
        from held h
        join days d on d.day >= h.since
        left join ended e on e.account = h.account and e.strategy_id = h.strategy_id
            and e.instrument_id = h.instrument_id and e.trade_date = d.day
    ),
    -- From the day of an event to the next one's a position stays what it was.
    standing as (
        select g.account, g.strategy_id, g.instrument_id, g.currency, g.day, g.day_before,
            coalesce(max(g.position) over part, 0) as quantity,
            coalesce(max(g.position_cost) over part, 0) as cost
        from grid g
        window part as (partition by g.account, g.strategy_id, g.instrument_id, g.part)
    ),
    marked as (
        select s.*, coalesce(c.close, q.mark) as mark,
            case when c.close is not null then 'close' when q.mark is not null then 'quote' end as mark_source
        from standing s
        left join closes c on c.instrument_id = s.instrument_id and c.date = s.day
        -- A condition of the join would be looked at only after the quote was; without the offset the quote
        -- would be looked at twice.
        cross join lateral (
            select case when c.close is null and s.quantity <> 0
                then portfolio._quote_mark(p_session_id, s.instrument_id, s.day) end as mark offset 0) q
    ),
    valued as (
        select m.*,
            case when m.quantity = 0 then 0 else m.quantity * m.mark end as value,
            case when m.quantity = 0 then 0 else m.quantity * m.mark - m.cost end as unrealized,
            lag(m.quantity, 1, 0::numeric) over before as opening_quantity,
            lag(m.mark) over before as opening_mark
        from marked m
        window before as (partition by m.account, m.strategy_id, m.instrument_id order by m.day)
    ),
    positions as (
        select v.account, v.strategy_id, v.instrument_id, v.currency, v.day, v.day_before, v.opening_quantity,
            v.quantity, v.opening_mark, v.mark, v.mark_source, v.value,
            case when v.opening_quantity = 0 then 0 else v.opening_quantity * v.opening_mark end as opening_value,
            v.unrealized - lag(v.unrealized, 1, 0::numeric) over before as unrealized_change
        from valued v
        window before as (partition by v.account, v.strategy_id, v.instrument_id order by v.day)
    ),
    purses as (
        select b.account, b.currency, min(b.trade_date) as since from booked b group by b.account, b.currency
    ),
    flowed as (
        select b.account, b.currency, b.trade_date as day, sum(b.cash) as cash, sum(b.flows) as flows
        from booked b group by b.account, b.currency, b.trade_date
    ),
    balances as (
        select p.account, p.currency, d.day, d.day_before, coalesce(f.flows, 0) as flows,
            sum(coalesce(f.cash, 0)) over so_far as balance,
            sum(coalesce(f.cash, 0)) over so_far - coalesce(f.cash, 0) as opening_balance
        from purses p
        join days d on d.day >= p.since
        left join flowed f on f.account = p.account and f.currency = p.currency and f.day = d.day
        window so_far as (partition by p.account, p.currency order by d.day)
    ),
    rows_of_days as (
        select p.account, p.strategy_id, p.instrument_id, p.day, p.day_before, p.currency, p.opening_quantity,
            p.quantity, p.opening_mark, p.mark, p.mark_source, b.realized, p.unrealized_change, b.fees,
            b.dividends, b.funding, p.opening_value, p.value, 0::numeric as flows
        from positions p
        left join booked b on b.account = p.account and b.strategy_id = p.strategy_id
            and b.instrument_id = p.instrument_id and b.trade_date = p.day and b.currency = p.currency
        where p.opening_quantity <> 0 or p.quantity <> 0 or b.account is not null
        union all
        -- In another currency than the instrument's, or of none.
        select b.account, b.strategy_id, b.instrument_id, b.trade_date, null, b.currency, null, null, null, null,
            null, 0, 0, b.fees, b.dividends, b.funding, 0, 0, 0
        from booked b
        left join ref.instruments i using (instrument_id)
        where b.currency is distinct from i.currency and b.strategy_id is not null
        union all
        select c.account, null, null, c.day, c.day_before, c.currency, c.opening_balance, c.balance, 1, 1, null, 0,
            0, coalesce(b.fees, 0), coalesce(b.dividends, 0), coalesce(b.funding, 0), c.opening_balance,
            c.balance, c.flows
        from balances c
        left join booked b on b.account = c.account and b.currency = c.currency and b.trade_date = c.day
            and b.strategy_id is null
    ),
    rates as materialized (
        select h.account, a.currency as account_currency, h.currency, d.day,
            ref.fx_rate(h.currency, a.currency, d.day, p_known_at) as rate
        from (select distinct b.account, b.currency from booked b) h
        join ref.accounts a using (account)
        cross join days d
    ),
    totals as (
        select r.*, coalesce(r.realized, 0) + r.unrealized_change - coalesce(r.fees, 0)
            + coalesce(r.dividends, 0) + coalesce(r.funding, 0) as total
        from rows_of_days r
    )
    select t.account, t.strategy_id, t.instrument_id, t.day, t.currency, t.opening_quantity, t.quantity,
        t.opening_mark, t.mark, t.mark_source, coalesce(t.realized, 0), t.unrealized_change,
        coalesce(t.fees, 0), coalesce(t.dividends, 0), coalesce(t.funding, 0), t.total, x.account_currency,
        x.rate, p.price_pnl, p.fx, p.price_pnl + p.fx, t.flows,
        case when t.flows = 0 then 0 else t.flows * x.rate end,
        case when t.value = 0 then 0 else t.value * x.rate end
    from totals t
    left join rates x on x.account = t.account and x.currency = t.currency and x.day = t.day
    left join rates o on o.account = t.account and o.currency = t.currency and o.day = t.day_before
    cross join lateral (
        select case when t.total = 0 then 0 else t.total * x.rate end as price_pnl,
            case when t.opening_value = 0 or t.currency = x.account_currency then 0 * t.opening_value
                else t.opening_value * (x.rate - o.rate) end as fx) p;
end
$$;
comment on function portfolio._daily(uuid, date, timestamptz) is
    'The P&L of one session day by day, as known at a time.';
