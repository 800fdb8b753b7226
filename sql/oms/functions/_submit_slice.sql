-- Submits the child order of a bucket with its row in risk.reduction_slices, if there is something to send:
-- a cap, a quote, and room beside what else works. Returns how many it sent, 0 or 1. One that is denied is
-- the bucket's all the same. The caller holds the account's lock.
create or replace function oms._submit_slice(
    p_plan risk.reduction_plans,
    p_leg risk.reduction_legs,
    p_bucket_no integer,
    p_last_order_id bigint,
    p_as_of timestamptz
) returns integer
language plpgsql
as $$
declare
    v_is_buy constant boolean := p_leg.start_quantity < 0;
    v_start constant timestamptz := p_plan.starts_at + (p_bucket_no - 1) * p_plan.bucket;
    v_room constant record := risk._plan_room(p_leg);
    v_cap constant record := risk._bucket_cap(p_plan, p_leg.instrument_id, v_start);
    v_price numeric;
    v_quantity numeric;
    v_order record;
begin
    v_price := risk._limit_price(p_plan.session_id, p_leg.instrument_id, v_is_buy, p_plan.limit_offset_bps, p_as_of);
    if v_price is null then
        return 0;
    end if;
    v_quantity := risk._slice_quantity(v_room.remaining, v_room.room, v_cap.cap,
        -- The child before may have filled on this side of the boundary, while it was being cancelled.
        greatest(coalesce((
            select sum(e.quantity) from oms.executions e
            where e.order_id = p_last_order_id and e.ts >= v_start), 0), 0),
        ref.lot_size(p_leg.instrument_id, v_price, (p_as_of at time zone 'UTC')::date));
    if v_quantity = 0 then
        return 0;
    end if;
    insert into risk.reduction_slices (plan_id, leg, bucket_no, cap, market_volume, quantity, as_of)
    values (p_plan.plan_id, p_leg.leg, p_bucket_no, v_cap.cap, v_cap.market_volume, v_quantity, p_as_of);
    select s.* into v_order from oms.submit_order(jsonb_build_object(
        'session_id', p_plan.session_id, 'account', p_plan.account, 'strategy', v_room.strategy,
        'origin', 'plan', 'plan_id', p_plan.plan_id, 'instrument_id', p_leg.instrument_id,
        'side', case when v_is_buy then 'buy' else 'sell' end, 'quantity', v_quantity, 'order_type', 'limit',
        'limit_price', v_price, 'reduce_only', true, 'tags', jsonb_build_object('bucket', p_bucket_no)),
        md5(format('plan %s leg %s bucket %s', p_plan.plan_id, p_leg.leg, p_bucket_no))::uuid, p_as_of) s;
    update risk.reduction_slices set order_id = v_order.order_id
    where plan_id = p_plan.plan_id and leg = p_leg.leg and bucket_no = p_bucket_no;
    if v_order.status = 'denied' then
        perform risk._note_refusal(p_leg, v_order.order_id, v_order.reasons);
        return 0;
    end if;
    return 1;
end
$$;
comment on function oms._submit_slice(risk.reduction_plans, risk.reduction_legs, integer, bigint, timestamptz) is
    'Submits the child order of a bucket of a plan.';
