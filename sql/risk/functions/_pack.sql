-- A vector as one number: each element in billionths, in 24 decimal digits of its own, the first element
-- in front. To multiply such a number by a whole number multiplies every element, to add two adds them
-- element by element, exactly, and in one step of the server's own code: several times as fast as a sum over
-- rows. Elements stay apart as long as none reaches 5e14 (5e23 billionths).
-- Errors: TT001 no elements, or one that is not within 400 of 0.
create or replace function risk._pack(p_values double precision[])
returns numeric
language plpgsql
immutable
parallel safe
as $$
begin
    perform risk._require_numbers(p_values, 'p_values');
    if exists (select from unnest(p_values) v where abs(v) > 400) then
        raise exception 'a value is not within 400 of 0' using errcode = 'TT001';
    end if;
    -- Half of what 24 digits hold is added before and taken away after, so that none borrows from another.
    return (
        select string_agg((500000000000000000000000 + round((v * 1e9)::numeric))::text, '' order by n)::numeric
        from unnest(p_values) with ordinality as u (v, n))
        - repeat('500000000000000000000000', cardinality(p_values))::numeric;
end
$$;
comment on function risk._pack(double precision[]) is 'A vector as one number that can be added and multiplied.';
