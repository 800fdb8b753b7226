-- Whether a session has nothing under way: its last batch was consumed, and no order waits for an
-- answer of its venue. Resting orders are settled once they have met the batch's market. For ops.advance_replay and ops.finish_session.
create or replace function ops._settled(p_session_id uuid, p_batch_id bigint)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select
        (p_batch_id is null or exists (
            select from signal.consumed_batches c
            where c.session_id = p_session_id and c.batch_id = p_batch_id))
        and not exists (
            select from oms.orders o
            where o.session_id = p_session_id and o.awaits_venue)
        and (p_batch_id is null or ops._met_market(p_session_id, (
            select b.batch_no from market.batches b where b.batch_id = p_batch_id)))
$$;
comment on function ops._settled(uuid, bigint) is
    'True when the batch was consumed and no order of the session waits for its venue.';
