-- The batch that a session's strategies are to be stepped on now, null when none waits, or when the session
-- replays in lock-step and a resting order has yet to meet the batch's market.
create or replace function ops._due_batch(p_session_id uuid)
returns bigint
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_batch_id constant bigint := signal.next_batch(p_session_id);
begin
    return case when v_batch_id is not null and not exists (
        select from market.batches b join ops.sessions s using (session_id)
        where b.batch_id = v_batch_id and s.kind = 'replay'
            and coalesce(s.parameters->>'speed', 'max') = 'max'
            and not ops._met_market(p_session_id, b.batch_no)) then v_batch_id end;
end
$$;
comment on function ops._due_batch(uuid) is 'The batch that a session''s strategies are to be stepped on now.';
