-- Serialises the changes of one limit, state or other setting until the end of the transaction. The change is
-- made in a later statement, which only READ COMMITTED lets see what the last holder committed. Errors: TT003.
create or replace function risk._lock_setting(p_setting text)
returns void
language plpgsql
as $$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'risk settings are changed in READ COMMITTED, not %: another person''s change would be overlooked',
            upper(current_setting('transaction_isolation')) using errcode = 'TT003';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('risk ' || p_setting, 0));
end
$$;
comment on function risk._lock_setting(text) is 'Serialises the changes of one setting.';
