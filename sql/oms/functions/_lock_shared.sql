-- Serialises submissions of all accounts of a session while a limit is in force that several accounts share; without
-- one they do not wait for each other. Taken after the accounts' locks, by everyone, so that nobody waits in a ring.
-- Until the end of the transaction no such limit can be set (risk.set_limit), so what is found here still holds
-- when the controls run.
create or replace function oms._lock_shared(p_session_id uuid)
returns void
language plpgsql
as $$
begin
    perform pg_advisory_xact_lock_shared(hashtextextended('risk.limits', 0));
    if exists (select from risk.limits l where l.superseded_at = 'infinity' and risk._is_shared(l.control)) then
        perform pg_advisory_xact_lock(hashtextextended(p_session_id::text, 0));
    end if;
end
$$;
comment on function oms._lock_shared(uuid) is
    'Takes a session''s risk lock until the end of the transaction if a limit is shared by accounts.';
