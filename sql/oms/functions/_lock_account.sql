-- Serialises everything that moves an account's risk: submissions, cancels and fills take this lock
-- first and look at the account in a later statement, which then sees what the last holder committed.
-- The account itself is locked in common: who holds that alone (oms._lock_out) holds all its sessions, those
-- too that nobody can see yet. Several are locked in the order of account and session.
create or replace function oms._lock_account(p_session_id uuid, p_account text)
returns void
language plpgsql
as $$
begin
    perform pg_advisory_xact_lock_shared(hashtextextended(p_account, 1)),
        pg_advisory_xact_lock(hashtextextended(p_session_id::text || '/' || p_account, 0));
end
$$;
comment on function oms._lock_account(uuid, text) is 'Takes the risk lock of a session''s account until the end of the transaction.';
