-- Refuses an end that is not after the order's own time: the order would be over before it begins. Null is no
-- end. Errors: TT001.
create or replace function risk._check_expiry(p_expire_at timestamptz, p_as_of timestamptz)
returns void
language plpgsql
stable
as $$
begin
    if p_expire_at <= p_as_of then
        raise exception 'expire_at % is not after the order''s time, %', p_expire_at, p_as_of using errcode = 'TT001';
    end if;
end
$$;
comment on function risk._check_expiry(timestamptz, timestamptz) is 'Refuses an end before the beginning.';
