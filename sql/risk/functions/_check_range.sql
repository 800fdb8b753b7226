-- Refuses a range of session time in which nothing could be valid. Errors: TT001.
create or replace function risk._check_range(p_from timestamptz, p_to timestamptz)
returns void
language plpgsql
immutable
as $$
begin
    if (p_from < p_to) is not true then
        raise exception 'the range from % to % holds no time', coalesce(p_from::text, 'null'),
            coalesce(p_to::text, 'null') using errcode = 'TT001';
    end if;
end
$$;
comment on function risk._check_range(timestamptz, timestamptz) is 'Refuses empty ranges of time.';
