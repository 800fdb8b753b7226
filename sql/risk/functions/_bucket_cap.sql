-- The cap of a plan's bucket for an instrument, in units, and what the market traded in the bucket before;
-- 0 where that is not known.
create or replace function risk._bucket_cap(
    p_plan risk.reduction_plans,
    p_instrument_id integer,
    p_bucket_start timestamptz,
    out cap numeric,
    out market_volume numeric
)
language plpgsql
stable
as $$
begin
    if p_plan.participation is not null then
        market_volume := coalesce(risk._traded_volume(p_plan.session_id, p_instrument_id,
            p_bucket_start - p_plan.bucket, p_bucket_start), 0);
    end if;
    cap := least(p_plan.participation * market_volume, p_plan.max_quantity);
end
$$;
comment on function risk._bucket_cap(risk.reduction_plans, integer, timestamptz) is 'The cap of a plan''s bucket.';
