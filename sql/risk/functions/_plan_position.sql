-- The position that a leg of a plan is about: the strategy's, or the account's where it names none.
create or replace function risk._plan_position(p_leg risk.reduction_legs)
returns numeric
language plpgsql
stable
as $$
begin
    return coalesce((
        select sum(p.quantity) from portfolio._positions p
        where p.session_id = p_leg.session_id and p.account = p_leg.account
            and p.instrument_id = p_leg.instrument_id
            and p.strategy_id = coalesce(p_leg.strategy_id, p.strategy_id)), 0);
end
$$;
comment on function risk._plan_position(risk.reduction_legs) is 'The position that a leg of a plan is about.';
