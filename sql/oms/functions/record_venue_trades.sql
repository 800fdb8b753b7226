-- Takes executions as a venue, its drop copy or a clearing file has them, and compares: see
-- oms.reconcile_trades. p_source: trade_capture, drop_copy or clearing. p_trades: array of objects, all texts:
-- exec_id, symbol, side, last_qty, last_px, and where there are any trade_date, exec_type (trade,
-- trade_cancel, trade_correct), exec_ref_id, cl_ord_id, order_id, transact_time. p_complete: the array
-- is all the source has of p_trade_date; a clearing file then replaces the one before, because it has no
-- other way to say that a trade was taken back. The same trades again change nothing. Returns how many
-- were new.
-- Errors: TT001 unusable trade; TT002 unknown venue.
create or replace function oms.record_venue_trades(
    p_venue text,
    p_source text,
    p_trades jsonb,
    p_trade_date date default null,
    p_complete boolean default false
) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_venue_id constant integer := ref._venue_id(p_venue);
    v_trade record;
    v_count integer;
    v_other record;
begin
    perform ops._audit('oms.record_venue_trades', p_venue,
        jsonb_build_object('source', p_source, 'trades', jsonb_array_length(p_trades),
            'trade_date', p_trade_date, 'complete', p_complete));
    if p_complete and p_trade_date is null then
        raise exception 'a complete list needs its trade date' using errcode = 'TT001';
    end if;
    if exists (
        select from jsonb_array_elements(p_trades) t
        where t->>'exec_id' is null or t->>'symbol' is null
            or coalesce(t->>'side' not in ('buy', 'sell', 'sell_short'), true)
            or coalesce(t->>'exec_type', 'trade') <> 'trade_cancel'
                and ((t->>'last_qty')::numeric > 0 and (t->>'last_px')::numeric > 0) is not true
            or coalesce(t->>'trade_date', p_trade_date::text) is null) then
        raise exception 'a trade needs exec_id, symbol, side, positive last_qty and last_px, and trade_date'
            using errcode = 'TT001';
    end if;
    for v_other in
        select x.*, t.j from jsonb_array_elements(p_trades) t (j)
        join oms.venue_trades x on x.venue_id = v_venue_id and x.source = p_source and x.exec_id = t.j->>'exec_id'
            and x.trade_date = coalesce((t.j->>'trade_date')::date, p_trade_date)
        where (x.quantity, x.price, x.side) is distinct from (
            coalesce((t.j->>'last_qty')::numeric, 0), coalesce((t.j->>'last_px')::numeric, 0), t.j->>'side')
    loop
        -- One source that says two things: a person has to know, and the first word stands.
        perform oms._note_break('execution_content', null, v_venue_id, to_jsonb(v_other) - 'j', v_other.j,
            v_other.exec_id, p_source);
    end loop;
    insert into oms.venue_trades (venue_id, source, trade_date, exec_id, root_exec_id, kind, cl_ord_id,
        venue_order_id, symbol, side, quantity, price, transact_time)
    select v_venue_id, p_source, coalesce((t->>'trade_date')::date, p_trade_date), t->>'exec_id',
        coalesce(t->>'exec_ref_id', t->>'exec_id'), coalesce(t->>'exec_type', 'trade'), t->>'cl_ord_id',
        t->>'order_id', t->>'symbol', t->>'side', coalesce((t->>'last_qty')::numeric, 0),
        coalesce((t->>'last_px')::numeric, 0), (t->>'transact_time')::timestamptz
    from jsonb_array_elements(p_trades) t
    on conflict do nothing;
    get diagnostics v_count = row_count;
    if p_complete then
        delete from oms.venue_trades x
        where p_source = 'clearing' and x.venue_id = v_venue_id and x.source = p_source
            and x.trade_date = p_trade_date and not exists (
                select from jsonb_array_elements(p_trades) t where t->>'exec_id' = x.exec_id);
        insert into oms.venue_statements (venue_id, source, trade_date) values (v_venue_id, p_source, p_trade_date)
        on conflict (venue_id, source, trade_date) do update set stated_at = clock_timestamp();
    end if;
    return v_count;
exception
    when invalid_text_representation or invalid_datetime_format or datetime_field_overflow
        or numeric_value_out_of_range or check_violation then
        raise exception 'a trade of % cannot be used: %', p_venue, sqlerrm using errcode = 'TT001';
end
$$;
comment on function oms.record_venue_trades(text, text, jsonb, date, boolean) is
    'Takes executions as a venue (trade_capture), its drop copy or a clearing file has them; returns how many were new. Errors: TT001 unusable trade, TT002 unknown venue.';
grant execute on function oms.record_venue_trades(text, text, jsonb, date, boolean)
    to tsdb_worker_gateway, tsdb_ops;
