-- Compares our executions at a venue with those that others have told (oms.record_venue_trades), day by
-- day and source by source, and keeps oms.breaks: missing_execution (they have it, we do not),
-- execution_content (side, quantity or price differ), extra_execution (we have it, a complete list does
-- not). What agrees again is resolved. p_grace: younger rows are left for the next time, because the two
-- ways a trade comes are not equally fast. p_within: the days compared are those of which something was
-- told so lately (null: all). Returns the number of differences.
-- Errors: TT002 unknown venue.
create or replace function oms.reconcile_trades(
    p_venue text,
    p_grace interval default '5 seconds',
    p_within interval default '2 days'
) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_venue_id constant integer := ref._venue_id(p_venue);
    v_before constant timestamptz := clock_timestamp() - p_grace;
    v_days constant date[] := oms._told_days(v_venue_id, p_within);
    v_difference record;
    v_found bigint[] := '{}';
begin
    perform pg_advisory_xact_lock(hashtextextended('reconcile ' || p_venue, 0));
    for v_difference in
        with theirs as (
            select t.* from oms._standing_venue_trades t
            where t.venue_id = v_venue_id and t.trade_date = any (v_days)),
        ours as (
            select s.*, i.symbol from oms._standing_executions s
            join ref.instruments i using (instrument_id)
            where s.venue_id = v_venue_id and s.trade_date = any (v_days)),
        compared as (
            select t.source, coalesce(t.trade_date, o.trade_date) as trade_date,
                t.root_exec_id as exec_id, o.execution_id, o.order_id,
                case when o.execution_id is null then 'missing_execution' else 'execution_content' end as kind,
                case when o.execution_id is null then '{}'::jsonb else jsonb_build_object('exec_id', o.exec_id,
                    'symbol', o.symbol, 'side', o.side, 'quantity', o.quantity::text, 'price', o.price::text) end as ours,
                jsonb_strip_nulls(jsonb_build_object('exec_id', t.root_exec_id, 'cl_ord_id', t.cl_ord_id,
                    'order_id', t.venue_order_id, 'symbol', t.symbol, 'side', t.side,
                    'quantity', t.quantity::text, 'price', t.price::text, 'trade_date', t.trade_date)) as theirs
            from theirs t
            left join ours o on o.exec_id = t.root_exec_id and o.trade_date = t.trade_date
            where t.first_seen <= v_before and (
                o.execution_id is null and t.quantity > 0
                or o.execution_id is not null and o.recorded_at <= v_before and (
                    o.quantity <> t.quantity or o.quantity > 0 and o.price <> t.price
                    or (o.side = 'buy') <> (t.side = 'buy') or o.symbol <> t.symbol))
            union all
            select s.source, s.trade_date, o.exec_id, o.execution_id, o.order_id, 'extra_execution',
                jsonb_build_object('exec_id', o.exec_id, 'symbol', o.symbol, 'side', o.side,
                    'quantity', o.quantity::text, 'price', o.price::text), '{}'
            from oms.venue_statements s
            join ours o on o.trade_date = s.trade_date
            where s.venue_id = v_venue_id and s.trade_date = any (v_days) and o.quantity > 0 and o.recorded_at <= s.stated_at - p_grace
                and not exists (
                    select from oms.venue_trades t
                    where t.venue_id = v_venue_id and t.source = s.source and t.trade_date = s.trade_date
                        and t.root_exec_id = o.exec_id))
        select c.*, row(r.*)::oms.orders as known from compared c
        left join oms.order_actions a on a.cl_ord_id = c.theirs->>'cl_ord_id'
        left join oms.orders r on r.order_id = coalesce(c.order_id, a.order_id)
    loop
        v_found := v_found || oms._note_break(v_difference.kind, v_difference.known, v_venue_id, v_difference.ours,
            v_difference.theirs, v_difference.trade_date || ' ' || v_difference.exec_id, v_difference.source,
            v_difference.execution_id);
    end loop;
    perform oms._close_break(b.break_id, 'agreed', 'both sides say the same', 'reconciliation')
    from oms.breaks b
    where b.venue_id = v_venue_id and b.resolved_at is null and b.source in ('trade_capture', 'drop_copy', 'clearing')
        and b.kind in ('missing_execution', 'extra_execution', 'execution_content') and b.break_id <> all (v_found)
        -- One source that contradicts itself stays open.
        and not (b.kind = 'execution_content' and b.ours ? 'source')
        and split_part(b.reference, ' ', 1) = any (v_days::text[]);
    return (select count(*) from oms.breaks b where b.break_id = any (v_found) and b.resolved_at is null);
end
$$;
comment on function oms.reconcile_trades(text, interval, interval) is
    'Compares our executions at a venue with those that others have told; records and resolves breaks; returns the number of differences.';
grant execute on function oms.reconcile_trades(text, interval, interval) to tsdb_worker_scheduler, tsdb_ops;
