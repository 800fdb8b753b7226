-- What happened to each position of a session up to a time and a trade date, as known at a time, in the
-- order that counts: by trade date; on it corporate actions first (dividends and spin-offs on what was
-- held at the close before, then the split, then what a spin-off brings), then fills in the order in
-- which they were booked. A busted fill never was, a corrected one was right at once.
-- With p_account, p_strategy_id and p_instrument_id: of one position. p_actions_through: corporate actions of
-- later ex dates are left out.
create or replace function portfolio._events(
    p_session_id uuid,
    p_as_of timestamptz,
    p_through date,
    p_known_at timestamptz,
    p_method text,
    p_account text default null,
    p_strategy_id integer default null,
    p_instrument_id integer default null,
    p_actions_through date default 'infinity'
)
returns table (account text, strategy_id integer, instrument_id integer, events portfolio._event[])
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    -- A session that is over holds nothing on later ex dates.
    v_end constant timestamptz := (
        select least(p_as_of, s.to_ts, s.closed_at) from ops.sessions s where s.session_id = p_session_id);
    v_last_ex_date constant date := least(p_through, p_actions_through);
begin
    return query
    with recursive reversals as (
        select distinct on (e.root_execution_id)
            e.root_execution_id, e.side, e.quantity, e.price, e.fee
        from oms.executions e
        where e.session_id = p_session_id and e.root_execution_id is not null
            and e.recorded_at <= p_known_at
            and (p_instrument_id is null or e.instrument_id = p_instrument_id)
        order by e.root_execution_id, e.execution_id desc
    ),
    fills as materialized (
        select f.account, f.strategy_id, f.instrument_id, f.execution_id, f.trade_date, f.ts,
            case coalesce(l.side, f.side) when 'buy' then 1 else -1 end
                * coalesce(l.quantity, f.quantity) as quantity,
            coalesce(l.price, f.price) as price, coalesce(l.fee, f.fee) as fee
        from oms.executions f
        left join reversals l on l.root_execution_id = f.execution_id
        where f.session_id = p_session_id and f.root_execution_id is null and f.ts <= p_as_of
            and f.trade_date <= p_through and f.recorded_at <= p_known_at
            and (l.quantity is null or l.quantity > 0)
            and (p_instrument_id is null or (f.account = p_account and f.strategy_id = p_strategy_id
                and f.instrument_id = p_instrument_id))
    ),
    spin_offs as materialized (
        -- What comes from a child that cannot be held here is money.
        select s.*, coalesce(s.child_instrument_id <> s.instrument_id and s.ratio is not null, false) as held
        from ref.spin_offs s
        where ref._known(s.known_at, s.superseded_at, p_known_at) and s.ex_date <= v_last_ex_date
            and s.ex_date::timestamp at time zone portfolio._time_zone(s.instrument_id) <= v_end
    ),
    held (account, strategy_id, instrument_id) as (
        select f.account, f.strategy_id, f.instrument_id from fills f
        union
        select p_account, p_strategy_id, p_instrument_id where p_instrument_id is not null
        union
        select h.account, h.strategy_id, s.child_instrument_id
        from held h join spin_offs s using (instrument_id)
        where s.held and p_instrument_id is null
    ),
    instruments as materialized (
        select i.instrument_id, i.size_scale::integer as digits, portfolio._time_zone(i.instrument_id) as zone
        from ref.instruments i
        where i.instrument_id in (select h.instrument_id from held h)
    ),
    dated as (
        select d.instrument_id, d.ex_date, 1 as place, 'dividend' as kind, d.amount as price,
            null::numeric as new_shares, null::numeric as old_shares, d.currency, null::numeric[] as shares
        from ref.dividends d
        where ref._known(d.known_at, d.superseded_at, p_known_at)
        union all
        select s.instrument_id, s.ex_date, 1, 'distribution', s.value, null, null, s.currency, null
        from spin_offs s where not s.held
        union all
        select s.instrument_id, s.ex_date, 2, 'spin_off', null, null, null, null,
            array_agg(coalesce(s.cost_share, 0))
        from spin_offs s where s.held
        group by s.instrument_id, s.ex_date
        union all
        select s.instrument_id, s.ex_date, 3, 'split', null, s.new_shares, s.old_shares, null, null
        from ref.splits s
        where ref._known(s.known_at, s.superseded_at, p_known_at)
        union all
        select s.instrument_id, s.ex_date, 4, 'cash_in_lieu', s.cash_in_lieu, null, null, null, null
        from ref.splits s
        where ref._known(s.known_at, s.superseded_at, p_known_at) and s.cash_in_lieu is not null
    ),
    actions as materialized (
        select a.*, i.digits, a.ex_date::timestamp at time zone i.zone as ts
        from dated a join instruments i using (instrument_id)
        where a.ex_date <= v_last_ex_date and a.ex_date::timestamp at time zone i.zone <= v_end
    ),
    named as (
        select a.execution_id, array_agg(a.opening_execution_id order by a.assignment_id) as lots,
            array_agg(a.quantity order by a.assignment_id) as shares
        from (
            select distinct on (t.execution_id, t.opening_execution_id) t.*
            from portfolio.lot_assignments t
            where p_method = 'specific' and t.recorded_at <= p_known_at
            order by t.execution_id, t.opening_execution_id, t.assignment_id desc) a
        where a.quantity > 0
        group by a.execution_id
    ),
    happened as (
        select f.account, f.strategy_id, f.instrument_id, f.trade_date, 7 as place,
            f.execution_id as turn,
            ('fill', f.trade_date, f.ts, f.execution_id, f.quantity, f.price, f.fee, null, null, null, null,
             null, null, n.lots, n.shares)::portfolio._event as event
        from fills f left join named n using (execution_id)
        union all
        select h.account, h.strategy_id, h.instrument_id, a.ex_date, a.place, 0,
            (a.kind, a.ex_date, a.ts, null, null, a.price, null, null, a.new_shares, a.old_shares, a.digits,
             a.currency, null, null, a.shares)::portfolio._event
        from held h join actions a using (instrument_id)
        union all
        select h.account, h.strategy_id, h.instrument_id, t.trade_date, 5, t.turn,
            (t.kind, t.trade_date, t.ts, t.execution_id, t.quantity, t.price, t.fee, t.cost, t.new_shares,
             t.old_shares, t.digits, t.currency, t.opened_on, t.lots, t.shares)::portfolio._event
        from (
            select distinct h.* from held h
            join spin_offs s on s.child_instrument_id = h.instrument_id and s.held) h
        cross join lateral portfolio._receipts(p_session_id, v_end, v_last_ex_date, p_known_at, p_method,
            h.account, h.strategy_id, h.instrument_id) with ordinality as t (
            kind, trade_date, ts, execution_id, quantity, price, fee, cost, new_shares, old_shares, digits,
            currency, opened_on, lots, shares, turn)
    )
    select h.account, h.strategy_id, h.instrument_id,
        array_agg(h.event order by h.trade_date, h.place, h.turn)
    from happened h
    where p_instrument_id is null or h.instrument_id = p_instrument_id
    group by h.account, h.strategy_id, h.instrument_id;
end
$$;
comment on function portfolio._events(
    uuid, timestamptz, date, timestamptz, text, text, integer, integer, date) is
    'What happened to each position of a session, in the order that counts.';
