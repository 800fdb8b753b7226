-- What a leg of a plan has left to its target, whichever orders work, and how much of it may be sent for
-- which strategy so that no order can flip a position, whatever fills: a leg of an account goes to the
-- strategy that can give most. All working orders of the side count, of others too. Unsigned quantities.
-- The caller holds the account's lock.
create or replace function risk._plan_room(
    p_leg risk.reduction_legs,
    out remaining numeric,
    out room numeric,
    out strategy_id integer,
    out strategy text
)
language plpgsql
stable
as $$
declare
    v_sign constant numeric := sign(p_leg.start_quantity);
begin
    remaining := greatest(v_sign * (risk._plan_position(p_leg) - p_leg.target_quantity), 0);
    with working as (
        select o.strategy_id, sum(oms._exposed(o)) as quantity
        from oms.orders o
        where o.session_id = p_leg.session_id and o.account = p_leg.account
            and o.instrument_id = p_leg.instrument_id and o.is_live and o.parent_order_id is null
            and (o.side = 'buy') = (v_sign < 0)
        group by o.strategy_id),
    held as (
        select p.strategy_id, sum(v_sign * p.quantity) as quantity
        from portfolio._positions p
        where p.session_id = p_leg.session_id and p.account = p_leg.account
            and p.instrument_id = p_leg.instrument_id
        group by p.strategy_id),
    rooms as (
        select h.strategy_id, h.quantity, coalesce(w.quantity, 0) as working
        from held h left join working w using (strategy_id))
    select r.strategy_id, t.strategy,
        least(x.account_room, r.quantity - r.working, case when p_leg.strategy_id is null
            then remaining - x.working else remaining - r.working end)
    into strategy_id, strategy, room
    from (
        -- Of all the account holds, less all that works, also for strategies that hold nothing.
        select coalesce(sum(h.quantity), 0) - coalesce((select sum(w.quantity) from working w), 0) as account_room,
            coalesce((select sum(w.quantity) from working w), 0) as working
        from held h) x
    cross join rooms r
    join signal.strategies t using (strategy_id)
    where r.strategy_id = coalesce(p_leg.strategy_id, r.strategy_id)
    order by r.quantity - r.working desc, r.strategy_id
    limit 1;
    room := greatest(coalesce(room, 0), 0);
end
$$;
comment on function risk._plan_room(risk.reduction_legs) is 'What a leg of a plan may send.';
