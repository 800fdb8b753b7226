-- The UserRefNum under which an action of the outbox goes out on an OUCH port today: for an order
-- the next number, the same one if asked again; for a cancel the number of its order, and the
-- cancel's ClOrdID is noted for the answer, which names the order only.
-- Call it in the order of sending. Errors: TT002 unknown port or ClOrdID, or a cancel of an order
-- that this port did not send today; TT001 a quantity that is no number of shares.
create or replace function oms.assign_user_ref(p_port text, p_cl_ord_id text)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_port oms.ouch_ports;
    v_action oms.order_actions;
    v_number bigint;
begin
    select p.* into v_port from oms.ouch_ports p where p.port = p_port for update;
    select a.* into v_action from oms.order_actions a where a.cl_ord_id = p_cl_ord_id;
    if v_port.port is null or v_action.action_id is null then
        raise exception 'port "%" or ClOrdID "%" does not exist', p_port, p_cl_ord_id using errcode = 'TT002';
    end if;
    if v_action.kind = 'cancel' then
        update oms.ouch_orders o set cancel_cl_ord_id = p_cl_ord_id
        where o.port = p_port and o.trade_date = v_port.trade_date
            and o.root_cl_ord_id = v_action.orig_cl_ord_id
            and o.user_ref_num = (
                select max(n.user_ref_num) from oms.ouch_orders n
                where n.port = p_port and n.trade_date = v_port.trade_date
                    and n.root_cl_ord_id = v_action.orig_cl_ord_id)
        returning o.user_ref_num into v_number;
        if v_number is null then
            raise exception 'order "%" was not sent on port % today', v_action.orig_cl_ord_id, p_port
                using errcode = 'TT002';
        end if;
        return v_number;
    end if;
    select o.user_ref_num into v_number from oms.ouch_orders o
    where o.port = p_port and o.trade_date = v_port.trade_date and o.cl_ord_id = p_cl_ord_id;
    if found then
        return v_number;
    end if;
    if exists (select from oms.orders o
               where o.order_id = v_action.order_id and o.quantity <> trunc(o.quantity)) then
        raise exception 'order "%" is not of whole shares, and OUCH knows no others', p_cl_ord_id
            using errcode = 'TT001';
    end if;
    update oms.ouch_ports p set last_user_ref = p.last_user_ref + 1
    where p.port = p_port returning p.last_user_ref into v_number;
    insert into oms.ouch_orders
        (port, trade_date, user_ref_num, cl_ord_id, root_cl_ord_id, symbol, side, quantity)
    select p_port, v_port.trade_date, v_number, p_cl_ord_id, p_cl_ord_id, i.symbol, o.side, o.quantity
    from oms.orders o join ref.instruments i on i.instrument_id = o.instrument_id
    where o.order_id = v_action.order_id;
    return v_number;
end
$$;
comment on function oms.assign_user_ref(text, text) is
    'The UserRefNum under which an order or cancel goes out on an OUCH port.';
grant execute on function oms.assign_user_ref(text, text) to tsdb_worker_gateway;
