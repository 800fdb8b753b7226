-- What a gateway has to send to a venue: cancels first, then the rest, each oldest first. A cancel does not
-- overtake what its own order still waits for. Orders whose state at the venue is unknown wait until it
-- is. A possible_resend action may have gone before and carries PossResend.
create or replace function oms.pending_actions(p_venue text, p_limit integer)
returns table (
    action_id bigint, kind text, order_id bigint, cl_ord_id text, orig_cl_ord_id text,
    session_id uuid, account text, symbol text, side text, quantity numeric, order_type text,
    limit_price numeric, time_in_force text, possible_resend boolean, as_of timestamptz, status text,
    stop_price numeric, expire_at timestamptz, peg_reference text, peg_offset numeric, post_only boolean,
    display_quantity numeric, min_quantity numeric, venue_order_id text)
-- plpgsql, because a function in language sql is planned again at every call.
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_venue_id constant integer := (select v.venue_id from ref.venues v where v.venue = p_venue);
begin
    return query
        with urgent as (
            select a.action_id from oms.order_actions a join oms.orders o using (order_id)
            where a.status = 'pending' and a.kind = 'cancel' and a.venue_id = v_venue_id and o.status <> 'unknown'
                and not exists (
                    select from oms.order_actions b
                    where b.order_id = a.order_id and b.status = 'pending' and b.action_id < a.action_id)
            order by a.action_id
            limit p_limit),
        ordinary as (
            select a.action_id from oms.order_actions a join oms.orders o using (order_id)
            where a.status = 'pending' and a.venue_id = v_venue_id and o.status <> 'unknown'
                and a.action_id not in (select u.action_id from urgent u)
            order by a.action_id
            limit p_limit)
        select a.action_id, a.kind, a.order_id, a.cl_ord_id, a.orig_cl_ord_id,
            o.session_id, o.account, i.symbol, o.side, coalesce(a.quantity, o.quantity), o.order_type,
            coalesce(a.limit_price, o.limit_price), o.time_in_force, a.possible_resend, o.as_of, o.status,
            coalesce(a.stop_price, o.stop_price), coalesce(a.expire_at, o.expire_at), o.peg_reference,
            coalesce(a.peg_offset, o.peg_offset), o.post_only,
            coalesce(a.display_quantity, o.display_quantity), o.min_quantity, o.venue_order_id
        from (select 0 as place, u.action_id from urgent u union all select 1, r.action_id from ordinary r) n
        join oms.order_actions a using (action_id)
        join oms.orders o using (order_id)
        join ref.instruments i using (instrument_id)
        order by n.place, a.action_id
        limit p_limit;
end
$$;
comment on function oms.pending_actions(text, integer) is
    'The outbox of a venue: cancels first, then the rest, each oldest first.';
grant execute on function oms.pending_actions(text, integer) to tsdb_worker_gateway;
