-- A second person allows one order to exceed soft controls until a wall time. p_order: as in oms.submit_order; an
-- order that names the returned id as authorisation_id may use it once, if it is of the same session, account,
-- strategy, instrument, side, order type and stop price, of no more quantity and at no worse a limit price, and
-- if neither its operator nor the login that submits it is the one that authorised it.
-- Errors: TT001 an order, controls, reason or expiry of no use; TT002 unknown name or control; 42501 not a
-- person, or the order's own operator.
create or replace function risk.authorise_order(
    p_order jsonb, p_controls text[], p_reason text, p_expires_at timestamptz
) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_order constant risk.order_request := risk._read_order(p_order);
    v_control record;
    v_authorisation_id bigint;
begin
    perform ops._audit('risk.authorise_order', p_order::text,
        jsonb_build_object('controls', p_controls, 'expires_at', p_expires_at), p_reason);
    perform risk._require_person('authorising an order');
    perform risk._require_reason(p_reason, 'an authorisation');
    if v_order.authorisation_id is not null then
        raise exception 'an order to be authorised names no authorisation_id' using errcode = 'TT001';
    end if;
    if v_order.operator = session_user then
        raise exception 'the order is by %: another person authorises it', session_user
            using errcode = 'insufficient_privilege';
    end if;
    if coalesce(cardinality(p_controls), 0) = 0 then
        raise exception 'an authorisation names the controls that the order may exceed' using errcode = 'TT001';
    end if;
    for v_control in
        select u.name, c.control, c.is_soft from unnest(p_controls) as u (name)
        left join risk.controls c on c.control = u.name
        where c.is_soft is not true
    loop
        if v_control.control is null then
            raise exception 'control "%" does not exist', v_control.name using errcode = 'TT002';
        end if;
        raise exception 'control "%" is not soft: nobody may authorise an order over it', v_control.name
            using errcode = 'TT001';
    end loop;
    if (p_expires_at > clock_timestamp() and p_expires_at < 'infinity') is not true then
        raise exception 'an authorisation expires at a time to come, not at %', coalesce(p_expires_at::text, 'null')
            using errcode = 'TT001';
    end if;
    insert into risk.authorisations (session_id, account, strategy_id, instrument_id, side, order_type, quantity,
        limit_price, stop_price, operator, controls, reason, expires_at)
    values (v_order.session_id, v_order.account, v_order.strategy_id, v_order.instrument_id, v_order.side,
        v_order.order_type, v_order.quantity, v_order.limit_price, v_order.stop_price, v_order.operator, p_controls,
        p_reason, p_expires_at)
    returning authorisation_id into v_authorisation_id;
    return v_authorisation_id;
end
$$;
comment on function risk.authorise_order(jsonb, text[], text, timestamptz) is
    'A second person allows one order to exceed soft controls until a wall time; the order names the returned id as authorisation_id. Errors: TT001 unusable order, controls, reason or expiry, TT002 unknown name, 42501 not a second person.';
grant execute on function risk.authorise_order(jsonb, text[], text, timestamptz) to tsdb_risk;
