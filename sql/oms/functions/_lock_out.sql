-- Waits until nobody else works on an account, in any session, and keeps everybody out until the end of the
-- transaction: see oms._lock_account. Not after that one in a transaction: others may wait for it.
create or replace function oms._lock_out(p_account text)
returns void
language plpgsql
as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(p_account, 1));
end
$$;
comment on function oms._lock_out(text) is 'Takes the risk locks of an account in all sessions.';
