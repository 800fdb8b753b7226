-- Enters a report's ExecID into the ledger. True: it is new. False: it was applied before, and if it
-- says something else now that is a break. p_execution_id: what is about to be booked under it.
-- Errors: TT001 no ExecID.
create or replace function oms._claim_execution(
    p_order oms.orders,
    p_venue_id integer,
    p_trade_date date,
    p_report jsonb,
    p_execution_id bigint
) returns boolean
language plpgsql
as $$
declare
    v_exec_id constant text := p_report->>'exec_id';
    -- What happened to which order, not how it stands after: that may be told differently again.
    v_digest constant text := md5(concat_ws('|', p_report->>'exec_type', p_order.order_id,
        p_report->>'side', p_report->>'symbol', trim_scale((p_report->>'last_qty')::numeric),
        trim_scale((p_report->>'last_px')::numeric)));
    v_known text;
begin
    if v_exec_id is null then
        raise exception 'a report needs exec_id' using errcode = 'TT001';
    end if;
    insert into oms.execution_keys (venue_id, trade_date, exec_id, digest, execution_id)
    values (p_venue_id, p_trade_date, v_exec_id, v_digest, p_execution_id)
    on conflict do nothing;
    if found then
        return true;
    end if;
    select k.digest into v_known from oms.execution_keys k
    where k.venue_id = p_venue_id and k.trade_date = p_trade_date and k.exec_id = v_exec_id;
    if v_known <> v_digest then
        perform oms._note_break('execution_content', p_order, p_venue_id,
            jsonb_build_object('exec_id', v_exec_id, 'digest', v_known), p_report, v_exec_id);
    end if;
    return false;
end
$$;
comment on function oms._claim_execution(oms.orders, integer, date, jsonb, bigint) is
    'Enters an ExecID into the ledger of applied reports, once.';
