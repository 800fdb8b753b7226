-- Asks the venue to change a working order. p_changes: quantity (the new total, filled part included),
-- limit_price, stop_price, peg_offset, display_quantity, expire_at; what is left out stays. The
-- changed order passes every pre-trade control first; a refusal is recorded and changes nothing.
-- Several replaces may be under way, each naming the one before. Returns the order with reasons where
-- nothing was asked of the venue.
-- Errors: TT001 unusable change; TT002 unknown order; TT003 isolation level; TT006 request id reused.
create or replace function oms.replace_order(p_order_id bigint, p_changes jsonb, p_request_id uuid, p_as_of timestamptz)
returns table (order_id bigint, status text, reasons text[])
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_order constant oms.orders := oms._lock_order(p_order_id);
    v_terms oms.orders;
    v_verdict risk.verdict;
    v_reasons text[] := '{}';
begin
    perform ops._audit('oms.replace_order', p_order_id::text,
        jsonb_build_object('changes', p_changes, 'request_id', p_request_id, 'as_of', p_as_of));
    if p_as_of is null then
        raise exception 'a replace needs p_as_of, the session time' using errcode = 'TT001';
    end if;
    -- Checked before the claim, so that a refused request leaves no trace.
    v_terms := oms._read_changes(v_order, p_changes);
    if oms._claim_request(p_request_id, 'replace', p_order_id || p_changes::text) then
        v_reasons := case
            when v_order.is_parent or not v_order.is_live or v_order.status in ('unknown', 'pending_cancel')
                then array['the order is ' || case when v_order.is_parent then 'a parent' else v_order.status end]
            when (v_terms.quantity, v_terms.limit_price, v_terms.stop_price, v_terms.peg_offset,
                    v_terms.display_quantity, v_terms.expire_at)
                is not distinct from (v_order.quantity, v_order.limit_price, v_order.stop_price, v_order.peg_offset,
                    v_order.display_quantity, v_order.expire_at) and v_order.pending_quantity is null
                then array['nothing changes']
            else '{}'::text[] end;
        if p_changes ? 'expire_at' then
            perform risk._check_expiry(v_terms.expire_at, p_as_of);
        end if;
        if v_reasons = '{}' then
            perform oms._lock_shared(v_order.session_id);
            v_verdict := risk._decide(risk._restate_order(v_terms), p_as_of, '{}', v_order, clock_timestamp());
            perform risk._record_decision(p_order_id, p_as_of, v_verdict, v_verdict.passed, 'replace',
                clock_timestamp());
            if v_verdict.passed then
                perform oms._add_replace(v_order, v_terms, p_request_id, p_as_of);
            else
                v_reasons := risk._reasons(v_verdict);
            end if;
        end if;
    end if;
    return query
        select o.order_id, o.status, v_reasons from oms.orders o where o.order_id = p_order_id;
end
$$;
comment on function oms.replace_order(bigint, jsonb, uuid, timestamptz) is
    'Requests new terms for a working order, after every pre-trade control; idempotent by request id. Keys of p_changes: quantity (the new total), limit_price, stop_price, peg_offset, display_quantity, expire_at. reasons says why nothing was asked of the venue. Errors: TT001 unusable change, TT002 unknown order, TT003 isolation level, TT006 request id reused.';
grant execute on function oms.replace_order(bigint, jsonb, uuid, timestamptz) to tsdb_trader_role;
