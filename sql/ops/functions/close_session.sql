-- Closes a session; orders for it are denied from then on. Closing a closed one changes nothing.
-- Errors: TT002 unknown session.
create or replace function ops.close_session(p_session_id uuid, p_status text default 'closed')
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform ops._audit('ops.close_session', p_session_id::text, jsonb_build_object('status', p_status));
    update ops.sessions set status = p_status, closed_at = clock_timestamp()
    where session_id = p_session_id and status = 'open';
    if not found and not exists (select from ops.sessions where session_id = p_session_id) then
        raise exception 'session % does not exist', p_session_id using errcode = 'TT002';
    end if;
    perform pg_notify('ops_sessions', p_session_id::text);
end
$$;
comment on function ops.close_session(uuid, text) is 'Closes a session as closed or failed.';
grant execute on function ops.close_session(uuid, text) to tsdb_ops;
