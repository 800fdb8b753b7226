-- Compares what each instrument's position changed by on each trade date, as a venue's or clearing house's
-- complete list of the day has it, with what our executions there changed it by. Breaks of kind position,
-- by day and symbol; what agrees again is resolved. An instrument that traded after the list was made,
-- or up to p_grace before, waits for the next list. p_within as in oms.reconcile_trades.
-- Returns the number of differences. Errors: TT002 unknown venue.
create or replace function oms.reconcile_flows(
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
    v_days constant date[] := oms._told_days(v_venue_id, p_within);
    v_flow record;
    v_break_id bigint;
    v_count integer := 0;
begin
    perform pg_advisory_xact_lock(hashtextextended('reconcile ' || p_venue, 0));
    for v_flow in
        with theirs as (
            select t.source, t.trade_date, t.symbol, max(t.last_seen) as changed_at,
                sum(case t.side when 'buy' then t.quantity else -t.quantity end) as quantity
            from oms._standing_venue_trades t
            where t.venue_id = v_venue_id and t.trade_date = any (v_days)
            group by 1, 2, 3),
        ours as (
            select s.source, e.trade_date, i.symbol, max(e.recorded_at) as changed_at,
                sum(case e.side when 'buy' then e.quantity else -e.quantity end) as quantity
            from oms.venue_statements s
            join oms._standing_executions e on e.venue_id = s.venue_id and e.trade_date = s.trade_date
            join ref.instruments i using (instrument_id)
            where s.venue_id = v_venue_id and s.trade_date = any (v_days)
            group by 1, 2, 3),
        compared as (
            select source, trade_date, symbol, coalesce(o.quantity, 0) as ours, coalesce(t.quantity, 0) as theirs,
                greatest(o.changed_at, t.changed_at) as changed_at
            from theirs t full join ours o using (source, trade_date, symbol))
        select c.*, c.trade_date || ' ' || c.symbol as reference
        from compared c join oms.venue_statements s using (source, trade_date)
        where s.venue_id = v_venue_id and (c.ours = c.theirs or c.changed_at <= s.stated_at - p_grace)
    loop
        if v_flow.ours <> v_flow.theirs then
            v_break_id := oms._note_break('position', null, v_venue_id,
                jsonb_build_object('quantity', v_flow.ours::text), jsonb_build_object('quantity', v_flow.theirs::text),
                v_flow.reference, v_flow.source);
            v_count := v_count + (
                select count(*) from oms.breaks b where b.break_id = v_break_id and b.resolved_at is null);
        else
            select b.break_id into v_break_id from oms.breaks b
            where b.kind = 'position' and b.reference = v_flow.reference and b.venue_id = v_venue_id
                and b.source = v_flow.source and b.resolved_at is null;
            if found then
                perform oms._close_break(v_break_id, 'agreed', 'both sides say the same', 'reconciliation');
            end if;
        end if;
    end loop;
    return v_count;
end
$$;
comment on function oms.reconcile_flows(text, interval, interval) is
    'Compares what positions changed by on a day with a venue''s complete list of its trades; records and resolves breaks; returns the number of differences.';
grant execute on function oms.reconcile_flows(text, interval, interval) to tsdb_worker_scheduler, tsdb_ops;
