-- All cash of one session: executions and their reversals (as of the fill they are about, known from when
-- they were recorded), what corporate actions brought, and what portfolio.book_cash booked.
-- p_through: trade dates after it are left out.
create or replace function portfolio._entries(
    p_session_id uuid, p_as_of timestamptz, p_through date, p_known_at timestamptz
)
returns table (
    account text, strategy_id integer, instrument_id integer, kind text, currency text, amount numeric,
    trade_date date, ts timestamptz, recorded_at timestamptz, execution_id bigint, entry_id bigint,
    reference text
)
language plpgsql
stable
as $$
#variable_conflict use_column
begin
    return query
    with traded as (
        select e.account, e.strategy_id, e.instrument_id, i.currency,
            coalesce(f.trade_date, e.trade_date) as trade_date, coalesce(f.ts, e.ts) as ts, e.recorded_at,
            e.execution_id, e.exec_id,
            case e.side when 'buy' then -e.quantity else e.quantity end * e.price as amount, e.fee
        from oms.executions e
        join ref.instruments i using (instrument_id)
        left join oms.executions f on f.execution_id = e.root_execution_id
        where e.session_id = p_session_id and e.recorded_at <= p_known_at
            and coalesce(f.ts, e.ts) <= p_as_of and coalesce(f.trade_date, e.trade_date) <= p_through)
    select t.account, t.strategy_id, t.instrument_id, 'trade', t.currency, t.amount, t.trade_date, t.ts,
        t.recorded_at, t.execution_id, null::bigint, t.exec_id
    from traded t
    union all
    select t.account, t.strategy_id, t.instrument_id, 'fee', t.currency, -t.fee, t.trade_date, t.ts,
        t.recorded_at, t.execution_id, null, t.exec_id
    from traded t where t.fee <> 0
    union all
    select e.account, e.strategy_id, e.instrument_id, case f.kind when 'receipt' then 'spin_off' else f.kind end,
        coalesce(f.currency, i.currency), f.cash + f.income, f.trade_date, f.ts, null, null, null,
        'ex ' || f.trade_date
    from portfolio._events(p_session_id, p_as_of, p_through, p_known_at, 'average') e
    join ref.instruments i using (instrument_id)
    cross join lateral portfolio._fold(e.events, 'average', false) f
    where f.kind <> 'fill' and f.cash + f.income <> 0
    union all
    select c.account, c.strategy_id, c.instrument_id, c.kind, c.currency, c.amount, c.trade_date, c.ts,
        c.recorded_at, null, c.entry_id, c.reference
    from portfolio._cash_entries c
    where c.session_id = p_session_id and c.ts <= p_as_of and c.trade_date <= p_through
        and c.recorded_at <= p_known_at;
end
$$;
comment on function portfolio._entries(uuid, timestamptz, date, timestamptz) is 'All cash of one session.';
