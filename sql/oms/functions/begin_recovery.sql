-- First thing of a gateway that takes over a venue, before it logs on: every order that may have
-- been sent without our knowing what became of it becomes unknown. Returns all orders that the venue
-- must be asked about: those, and the working ones, whose state is compared; cl_ord_ids: every id that its answer
-- may come under. Errors: TT002.
create or replace function oms.begin_recovery(p_venue text)
returns table (
    order_id bigint, cl_ord_id text, session_id uuid, symbol text, side text, status text, cl_ord_ids text[])
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_order oms.orders;
    v_venue_id constant integer := ref._venue_id(p_venue);
begin
    perform oms._require_read_committed();
    -- Accounts in the order all others lock them.
    perform oms._lock_account(a.session_id, a.account)
    from (
        select distinct o.account, o.session_id from oms.orders o
        where o.venue_id = v_venue_id and o.awaits_venue and o.status <> 'unknown'
        order by 1, 2) a;
    for v_order in
        select * from oms.orders o
        where o.venue_id = v_venue_id and o.awaits_venue and o.status <> 'unknown'
        order by o.order_id for update
    loop
        perform oms._add_event(v_order.order_id, 'recovery', 'unknown', null);
    end loop;
    return query
        select o.order_id, o.cl_ord_id, o.session_id, i.symbol, o.side, o.status,
            array(select a.cl_ord_id from oms.order_actions a where a.order_id = o.order_id)
        from oms.orders o join ref.instruments i using (instrument_id)
        -- Submitted since the loop looked: not sent, because the gate is shut, and so in no doubt.
        where o.venue_id = v_venue_id and o.is_live and o.status <> 'pending_new'
        order by o.order_id;
end
$$;
comment on function oms.begin_recovery(text) is
    'Marks orders in doubt as unknown and lists what the venue is to be asked about.';
grant execute on function oms.begin_recovery(text) to tsdb_worker_gateway;
