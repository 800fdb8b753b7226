-- The worst an account can come to if its working orders fill on either side, with an order added: p_adds of it at
-- p_price. p_whole: capital is wanted too, over all accounts of the session. p_ahead: earlier legs of the basket;
-- p_current: the order as it is, which does not count beside what it is to become. Everything is null where an
-- instrument held or worked has no mark or no rate to its account's currency: a sum without it would be
-- too small; problem names the currencies without a rate. In account currency.
create or replace function risk._exposure(
    p_order risk.order_request,
    p_ahead risk.order_request[],
    p_current oms.orders,
    p_adds numeric,
    p_price numeric,
    p_whole boolean,
    p_as_of timestamptz
)
returns risk.exposure
language plpgsql
stable
as $$
declare
    v_exposure risk.exposure;
begin
    with working as (
        select o.account, o.instrument_id, o.side = 'buy' as buys, oms._exposed(o) as quantity,
            coalesce(o.limit_price, o.stop_price) as price
        from oms.orders o
        where o.session_id = p_order.session_id and o.is_live and o.parent_order_id is null
            and (p_whole or o.account = p_order.account) and o.order_id is distinct from p_current.order_id
        union all
        select a.account, a.instrument_id, a.side = 'buy', a.quantity, coalesce(a.limit_price, a.stop_price)
        from unnest(p_ahead) a
        where a.session_id = p_order.session_id and (p_whole or a.account = p_order.account)
            and a.parent_order_id is null and a.contingent_on is null
            -- Of a group only one order fills: this one counts for all.
            and (a.oco is distinct from p_order.oco or a.oco is null)
        union all
        select p_order.account, p_order.instrument_id, p_order.side = 'buy', p_adds, p_price
    ), moves as (
        select w.account, w.instrument_id, 0 as held, 0 as cash,
            case when w.buys then w.quantity else 0 end as buys, case when w.buys then 0 else w.quantity end as sells,
            case when w.buys then w.quantity * w.price end as paid, w.quantity * w.price as worth,
            case when w.price is null then w.quantity else 0 end as unpriced, w.buys and w.price is null as buys_unpriced
        from working w
        union all
        select p.account, p.instrument_id, p.quantity, p.cash, 0, 0, 0, 0, 0, false
        from portfolio._positions p
        where p.session_id = p_order.session_id and (p_whole or p.account = p_order.account)
    ), books as (
        select m.account, m.instrument_id, sum(m.held) as held, sum(m.cash) as cash, sum(m.buys) as buys,
            sum(m.sells) as sells, coalesce(sum(m.paid), 0) as paid, coalesce(sum(m.worth), 0) as worth,
            sum(m.unpriced) as unpriced, coalesce(sum(m.unpriced) filter (where m.buys_unpriced), 0) as buys_unpriced
        from moves m
        group by m.account, m.instrument_id
    ), marked as (
        select b.*, i.sector, i.currency, c.currency as account_currency,
            greatest(abs(b.held + b.buys), abs(b.held - b.sells)) as worst, x.rate,
            x.rate * (q.bid_price + q.ask_price)::numeric / (2 * i.price_unit::numeric) as mark
        from books b
        join ref.instruments i using (instrument_id)
        join ref.accounts c using (account)
        cross join lateral (
            select case when i.currency = c.currency then 1
                else portfolio._rate_at(i.currency, c.currency, p_as_of) end as rate) x
        left join market.latest_quotes q
            on q.session_id = p_order.session_id and q.instrument_id = b.instrument_id
        where b.held <> 0 or b.buys <> 0 or b.sells <> 0 or b.cash <> 0
    ), valued as (
        select m.*, case when m.worst = 0 then 0 else m.worst * m.mark end as value,
            m.account = p_order.account as ours,
            case when m.worth = 0 then 0 else m.worth * m.rate end + case when m.unpriced = 0 then 0 else m.unpriced * m.mark end as asked,
            (m.paid - m.cash) * m.rate
                + case when m.buys_unpriced = 0 then 0 else m.buys_unpriced * m.mark end as to_pay
        from marked m
    )
    -- A sum over a missing value would hide it.
    select
        case when bool_and(v.value is not null) filter (where v.ours) then sum(v.value) filter (where v.ours) end,
        case when bool_and(v.value is not null) filter (where v.ours) then greatest(
            abs(sum((v.held + v.buys) * v.mark) filter (where v.ours and v.worst <> 0)),
            abs(sum((v.held - v.sells) * v.mark) filter (where v.ours and v.worst <> 0)), 0) end,
        -- An order in an instrument without a sector has none to be measured in.
        case when bool_and(v.value is not null) filter (where v.ours and v.sector = i.sector)
            then sum(v.value) filter (where v.ours and v.sector = i.sector) end,
        sum(v.value) filter (where v.ours and v.instrument_id = i.instrument_id),
        case when bool_and((v.held = 0 or v.mark is not null) and v.asked is not null) filter (where v.ours)
            then sum(case when v.held = 0 then 0 else abs(v.held) * v.mark end + v.asked) filter (where v.ours) end,
        case when p_whole and bool_and(v.value is not null) then sum(v.value) end,
        case when bool_and(v.to_pay is not null) filter (where v.ours)
            then greatest(sum(v.to_pay) filter (where v.ours), 0) end,
        string_agg(distinct case when v.rate is null
            then portfolio._rate_problem(v.currency, v.account_currency, p_as_of) end, '; ')
    into v_exposure
    from valued v, ref.instruments i
    where i.instrument_id = p_order.instrument_id;
    return v_exposure;
end
$$;
comment on function risk._exposure(risk.order_request, risk.order_request[], oms.orders, numeric, numeric, boolean, timestamptz) is
    'Worst-side exposure of an account with an order added.';
