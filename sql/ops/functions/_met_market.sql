-- Whether the resting orders of a session have met the market of a batch at their simulated venue, and
-- we hold every fill that came of it. It paces replays in lock-step, so that two replays of one window
-- trade alike; orders of any other venue are not waited for.
create or replace function ops._met_market(p_session_id uuid, p_batch_no bigint)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return not exists (
        select from oms.orders o
        join ref.venues v on v.venue_id = o.venue_id and v.simulated
        join venue.orders x on x.venue = v.venue and x.cl_ord_id = o.cl_ord_id
        join venue._progress p on p.venue = v.venue and p.session_id = o.session_id
        where o.session_id = p_session_id
            and o.status in ('new', 'partially_filled', 'pending_cancel', 'pending_replace')
            and (p.batch_no < p_batch_no
                or x.cumulative_quantity <> o.cumulative_quantity
                or x.status not in ('new', 'partially_filled')));
end
$$;
comment on function ops._met_market(uuid, bigint) is
    'True when every resting order has met the batch at its simulated venue and its fills are booked.';
