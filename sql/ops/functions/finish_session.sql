-- Brings a session to its end, step by step, and says where it stands:
--   waiting     a batch is not consumed or an order waits for its venue: call again;
--   cancelling  the orders that still rested are being cancelled: call again;
--   closed      the last marks are written and the session is closed.
-- Errors: TT002 unknown session.
create or replace function ops.finish_session(p_session_id uuid)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_status text;
    v_last market.batches;
    v_order_id bigint;
    v_cancelled integer := 0;
begin
    perform ops._audit('ops.finish_session', p_session_id::text, '{}');
    select s.status into v_status from ops.sessions s where s.session_id = p_session_id;
    if not found then
        raise exception 'session % does not exist', p_session_id using errcode = 'TT002';
    end if;
    if v_status <> 'open' then
        return 'closed';
    end if;
    select * into v_last from market.batches b
    where b.session_id = p_session_id order by b.batch_no desc limit 1;
    if not ops._settled(p_session_id, v_last.batch_id) then
        return 'waiting';
    end if;
    -- One by one: each is a request of its own, under the lock of its account, and accounts in the
    -- order all others lock them.
    for v_order_id in
        select o.order_id from oms.orders o
        where o.session_id = p_session_id and (o.is_live or o.status = 'held')
        order by o.account, o.is_parent desc, o.order_id
    loop
        perform oms.cancel_order(
            v_order_id, md5('end of session ' || v_order_id)::uuid, v_last.as_of);
        v_cancelled := v_cancelled + 1;
    end loop;
    if v_cancelled > 0 then
        return 'cancelling';
    end if;
    if v_last.as_of is not null then
        perform portfolio.mark_session(p_session_id, v_last.as_of);
    end if;
    perform ops.close_session(p_session_id, 'closed');
    return 'closed';
end
$$;
comment on function ops.finish_session(uuid) is
    'Cancels what rests, writes the last marks and closes a session; returns waiting, cancelling or closed.';
grant execute on function ops.finish_session(uuid) to tsdb_worker_replay, tsdb_ops;
