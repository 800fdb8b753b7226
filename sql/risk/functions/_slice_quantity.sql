-- How much the child order of a bucket is for, from 0. All arguments are unsigned quantities:
-- p_left: from the position to the target. p_room: what may be sent without flipping anything if all that
-- works fills. p_cap: of the bucket. p_used: what filled in it already, of the bucket before's child.
-- Whole lots, except that what completes the reduction goes whole, so that it ends exactly at the target.
create or replace function risk._slice_quantity(
    p_left numeric,
    p_room numeric,
    p_cap numeric,
    p_used numeric,
    p_lot numeric
) returns numeric
language plpgsql
immutable
as $$
declare
    v_most constant numeric := greatest(least(p_left, p_room, p_cap - p_used), 0);
begin
    if p_left is null or p_room is null or p_cap is null or p_used is null or p_lot is null then
        return 0;
    end if;
    return case when v_most = p_left then v_most else floor(v_most / p_lot) * p_lot end;
end
$$;
comment on function risk._slice_quantity(numeric, numeric, numeric, numeric, numeric) is
    'Quantity of the child order of a bucket.';
