-- Serialises submissions of all accounts of a session while a limit is in force that several accounts share; without
-- one they do not wait for each other. Taken after the accounts' locks, by everyone, so that nobody waits in a ring.
create or replace function oms._lock_shared(p_session_id uuid)
returns void
language plpgsql
as $$
begin
    if exists (
        select from risk.limits l
        where l.superseded_at = 'infinity'
            and l.control in ('message_rate_strategy', 'message_rate_venue', 'repeated_execution', 'capital', 'self_match')) then
        perform pg_advisory_xact_lock(hashtextextended(p_session_id::text, 0));
    end if;
end
$$;
comment on function oms._lock_shared(uuid) is
    'Takes a session''s risk lock until the end of the transaction if a limit is shared by accounts.';
