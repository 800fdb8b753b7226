-- Whether the authorisation that an order names lets it exceed these controls, and if not why. p_now: wall time.
-- p_order_id: the order, where it exists already: the one that used an authorisation keeps it when it is replaced
-- or released, within the same bounds. The submitting login is looked at as well: nobody is his own second person.
create or replace function risk._authorisation_for(
    p_order risk.order_request,
    p_controls text[],
    p_now timestamptz,
    p_order_id bigint default null,
    out authorisation_id bigint,
    out problem text
)
language plpgsql
stable
as $$
declare
    v risk.authorisations;
begin
    select * into v from risk.authorisations a where a.authorisation_id = p_order.authorisation_id;
    problem := case
        when v.authorisation_id is null then 'no authorisation'
        when v.revoked_at is not null then 'was revoked by ' || v.revoked_by
        when v.order_id <> p_order_id or v.order_id is not null and p_order_id is null
            then 'was used by order ' || v.order_id
        when v.order_id is null and p_now >= v.expires_at then 'expired'
        when v.authorised_by in (p_order.operator, session_user) then 'is by the person who submits the order'
        when not p_controls <@ v.controls then 'does not cover '
            || (select string_agg(c, ', ') from unnest(p_controls) c where c <> all (v.controls))
        when (v.session_id, v.account, v.strategy_id, v.instrument_id, v.side, v.order_type, v.stop_price)
            is distinct from (p_order.session_id, p_order.account, p_order.strategy_id, p_order.instrument_id,
                p_order.side, p_order.order_type, p_order.stop_price)
            then 'is for another session, account, strategy, instrument, side, order type or stop price'
        when p_order.quantity > v.quantity then 'is for ' || trim_scale(v.quantity) || ' at most'
        when p_order.side = 'buy' and (p_order.limit_price <= v.limit_price) is not true and v.limit_price is not null
            or p_order.side <> 'buy' and (p_order.limit_price >= v.limit_price) is not true and v.limit_price is not null
            then 'is for a limit price of ' || trim_scale(v.limit_price) || ' or better'
    end;
    if problem is null then
        authorisation_id := v.authorisation_id;
    elsif v.authorisation_id is not null then
        problem := 'authorisation ' || v.authorisation_id || ' ' || problem;
    end if;
end
$$;
comment on function risk._authorisation_for(risk.order_request, text[], timestamptz, bigint) is
    'Whether an order''s authorisation lets it exceed controls.';
