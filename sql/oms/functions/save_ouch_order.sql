-- Writes how an order of an OUCH port stands today; p_order has the columns of oms.ouch_orders
-- without port and trade_date. Errors: TT002 unknown port.
create or replace function oms.save_ouch_order(p_port text, p_order jsonb)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into oms.ouch_orders (port, trade_date, user_ref_num, cl_ord_id, root_cl_ord_id,
        cancel_cl_ord_id, symbol, side, quantity, executed, canceled, broken)
    select p.port, p.trade_date, o.user_ref_num, o.cl_ord_id, o.root_cl_ord_id, o.cancel_cl_ord_id,
        o.symbol, o.side, o.quantity, o.executed, o.canceled, o.broken
    from oms.ouch_ports p
    cross join jsonb_populate_record(null::oms.ouch_orders, p_order) o
    where p.port = p_port
    on conflict (port, trade_date, user_ref_num) do update set
        quantity = excluded.quantity, executed = excluded.executed, canceled = excluded.canceled,
        broken = excluded.broken;
    if not found then
        raise exception 'port "%" does not exist', p_port using errcode = 'TT002';
    end if;
end
$$;
comment on function oms.save_ouch_order(text, jsonb) is 'Writes how an order of an OUCH port stands.';
grant execute on function oms.save_ouch_order(text, jsonb) to tsdb_worker_gateway;
