-- Under any other isolation level the check after the lock would look at an old snapshot, and two
-- submitters could both take the last unit. Errors: TT003.
create or replace function oms._require_read_committed()
returns void
language plpgsql
as $$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'the order path needs READ COMMITTED, not %: its locks would be checked on an old snapshot',
            upper(current_setting('transaction_isolation')) using errcode = 'TT003';
    end if;
end
$$;
comment on function oms._require_read_committed() is 'Refuses other isolation levels.';
