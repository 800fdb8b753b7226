-- Checks on one session everything the platform promises, from the rows alone. One row per promise:
-- passed, and a detail with the figures behind it. Reads a whole feed: for the end of a session, not
-- for a dashboard. Errors: TT002 unknown session.
create or replace function ops.check_invariants(p_session_id uuid)
returns table (invariant text, passed boolean, detail text)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_opened_at timestamptz;
begin
    select s.opened_at into v_opened_at from ops.sessions s where s.session_id = p_session_id;
    if not found then
        raise exception 'session % does not exist', p_session_id using errcode = 'TT002';
    end if;

    return query
    with stored as (
        select q.source_id, count(*) as stored
        from market._quotes q join ops.sessions s using (feed_id)
        where s.session_id = p_session_id group by q.source_id
        union all
        select t.source_id, count(*)
        from market._trades t join ops.sessions s using (feed_id)
        where s.session_id = p_session_id group by t.source_id
        union all
        select e.source_id, count(*)
        from market._book_events e join ops.sessions s using (feed_id)
        where s.session_id = p_session_id group by e.source_id),
    lost as (
        select count(*) as parts
        from market.sources f
        join ops.sessions s using (feed_id)
        left join stored st using (source_id)
        where s.session_id = p_session_id and f.kind in ('quotes', 'trades', 'book_events')
            and f.rows_stored <> coalesce(st.stored, 0)),
    files as (
        select f.rows_read, f.rows_stored, q.quarantined
        from market.sources f
        join ops.sessions s using (feed_id)
        cross join lateral (
            select count(*) as quarantined from market.quarantine r where r.source_id = f.source_id) q
        where s.session_id = p_session_id and f.parent_id is null)
    select 'rows read = stored + quarantined, in every file',
        count(*) filter (where rows_read <> rows_stored + quarantined) = 0
            and (select parts from lost) = 0,
        format('%s files, %s rows = %s + %s', count(*), coalesce(sum(rows_read), 0),
            coalesce(sum(rows_stored), 0), coalesce(sum(quarantined), 0))
    from files;

    return query
    with gaps as (
        select count(*) as batches, coalesce(max(b.batch_no), 0) as last_no,
            (select count(*) from signal.consumed_batches c where c.session_id = p_session_id) as consumed,
            (select count(*) from signal.consumed_batches c join market.batches m using (batch_id)
             where c.session_id = p_session_id and c.consumption_no <> m.batch_no) as disordered
        from market.batches b where b.session_id = p_session_id)
    select 'every batch consumed once, in order',
        batches = last_no and consumed = batches and disordered = 0,
        format('%s batches, %s consumed', batches, consumed)
    from gaps;

    return query
    with ours as (
        -- Under the ClOrdID it was entered with: a venue that forgot its sessions may have accepted others untold.
        select o.order_id, min(n.cl_ord_id) as root_cl_ord_id, o.cumulative_quantity as on_order,
            coalesce(sum(e.quantity), 0) as executed
        from oms.orders o
        left join oms.order_actions n on n.order_id = o.order_id and n.kind = 'new'
        left join oms.executions e on e.order_id = o.order_id
        -- A parent's fills are its children's, and no venue knows it.
        where o.session_id = p_session_id and o.status <> 'denied' and not o.is_parent
        group by o.order_id),
    booked as (
        select v.root_cl_ord_id, v.cumulative_quantity as on_book, coalesce(sum(x.quantity), 0) as traded
        from venue.orders v
        left join venue.executions x on x.venue = v.venue and x.order_no = v.order_no
        where v.session_id = p_session_id
        group by v.venue, v.order_no, v.root_cl_ord_id, v.cumulative_quantity),
    compared as (
        select count(*) as orders, coalesce(sum(o.executed), 0) as executed,
            coalesce(sum(v.traded), 0) as traded,
            count(*) filter (where o.order_id is null or o.on_order <> o.executed
                or o.on_order <> coalesce(v.on_book, 0) or v.on_book <> v.traded) as different
        from ours o full join booked v using (root_cl_ord_id))
    select 'executions = quantity on the order = the venue''s own book',
        different = 0,
        format('%s orders, %s shares executed, %s traded at the venue, %s orders differ',
            orders, executed, traded, different)
    from compared;

    return query
    with fills as (
        select e.account, e.strategy_id, e.instrument_id,
            sum(case e.side when 'buy' then e.quantity else -e.quantity end) as quantity,
            sum(case e.side when 'buy' then -e.quantity else e.quantity end * e.price - e.fee) as cash
        from oms.executions e where e.session_id = p_session_id
        group by e.account, e.strategy_id, e.instrument_id),
    compared as (
        select count(*) as positions,
            count(*) filter (where coalesce(f.quantity, 0) <> coalesce(p.quantity, 0)) as wrong_quantity,
            count(*) filter (where coalesce(f.cash, 0) <> coalesce(p.cash, 0)) as wrong_cash
        from fills f
        full join (select * from portfolio.positions where session_id = p_session_id) p
            using (account, strategy_id, instrument_id)
        -- What corporate actions changed is more than its executions: portfolio.check_invariants.
        where (account, strategy_id, instrument_id) not in (
            select c.account, c.strategy_id, c.instrument_id
            from portfolio.position_changes c where c.session_id = p_session_id))
    select 'position and cash = sum of the signed executions',
        wrong_quantity = 0 and wrong_cash = 0,
        format('%s positions, %s quantities and %s cash amounts differ',
            positions, wrong_quantity, wrong_cash)
    from compared;

    return query
    with marked as (
        select count(*) as positions, count(*) filter (where p.total_pnl is null) as unmarked,
            coalesce(sum(p.total_pnl), 0) as total,
            coalesce(sum(p.realized_pnl + p.unrealized_pnl - p.fees), 0) as parts,
            count(*) filter (where p.total_pnl <> p.realized_pnl + p.unrealized_pnl - p.fees) as different
        from portfolio.pnl p where p.session_id = p_session_id)
    select 'cash + marked positions = realized + unrealized P&L - fees',
        unmarked = 0 and different = 0,
        format('%s = %s, %s positions without a mark', round(total, 2), round(parts, 2), unmarked)
    from marked;

    return query
    with judged as (
        select count(*) as orders,
            count(*) filter (where d.decisions <> 1 or not d.passed and o.status <> 'denied') as undecided,
            count(*) filter (where num_nonnulls(o.signal_id, o.parent_order_id, o.plan_id, o.operator) <> 1)
                as unfounded,
            count(*) filter (where o.origin = 'signal' and not exists (
                select from signal.signals g
                where g.as_of = o.signal_as_of and g.signal_id = o.signal_id)) as orphaned
        from oms.orders o
        cross join lateral (
            select count(*) as decisions, coalesce(bool_and(d.passed), false) as passed
            from (
                select d.passed from risk.decisions d
                where o.succeeds_order_id is null and d.order_id = o.order_id and d.action = 'new'
                union all
                -- A contingent order that follows another of its leg was decided on with that one.
                select d.passed from risk.decisions d
                where o.succeeds_order_id is not null and d.decided_at = o.decided_at
                    and d.decision_id = o.decision_id and d.action = 'new') d) d
        where o.session_id = p_session_id)
    select 'every order has a risk decision and exactly one origin',
        undecided = 0 and unfounded = 0 and orphaned = 0,
        format('%s orders, %s without a decision, %s without one origin, %s without their signal',
            orders, undecided, unfounded, orphaned)
    from judged;

    return query
    with sent as (
        select a.action_id, m.message_id, vm.message_no
        from oms.order_actions a
        join oms.orders o using (order_id)
        left join oms.fix_messages m
            on m.recorded_at = a.message_at and m.message_id = a.message_id
        left join (
            select v.cl_ord_id, min(v.message_no) as message_no from venue._messages v
            where v.msg_type in ('D', 'F', 'G') group by v.cl_ord_id) vm on vm.cl_ord_id = a.cl_ord_id
        where o.session_id = p_session_id and (a.status in ('sent', 'accepted') or vm.message_no is not null)),
    reports as (
        select r.report_no, exists (
            select from oms.fix_messages m
            where m.direction = 'in' and m.exec_id = r.exec_id and m.recorded_at >= v_opened_at) as archived
        from venue._reports r
        where r.session_id = p_session_id and r.exec_id is not null and r.sent)
    select 'every FIX message is archived',
        s.missing = 0 and r.missing = 0,
        format('%s sent, %s missing; %s reports of the venue, %s missing',
            s.total, s.missing, r.total, r.missing)
    from (select count(*) as total, count(*) filter (where message_id is null) as missing from sent) s,
        (select count(*) as total, count(*) filter (where not archived) as missing from reports) r;

    return query
    select 'live signals = recomputed signals', count(*) = 0,
        format('%s signals, %s differences',
            (select count(*) from signal.signals g where g.session_id = p_session_id), count(*))
    from backtest.parity(p_session_id);

    return query
    select 'no reconciliation break is open', count(*) filter (where b.resolved_at is null) = 0,
        format('%s open, %s resolved', count(*) filter (where b.resolved_at is null),
            count(*) filter (where b.resolved_at is not null))
    from oms.breaks b where b.session_id = p_session_id or b.session_id is null;

    return query
    select 'no order is stuck', count(*) = 0, format('%s orders wait for the venue', count(*))
    from oms.orders o
    where o.session_id = p_session_id and o.awaits_venue;
end
$$;
comment on function ops.check_invariants(uuid) is
    'Checks on one session what the platform promises: one row per promise, passed or not, with its figures.';
grant execute on function ops.check_invariants(uuid) to tsdb_reader;
