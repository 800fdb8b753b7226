-- One row per execution, with everything that led to it and the time of every hop.
-- An order of a portfolio's rebalance goes back to the signals netted in it (source_signal_ids).
-- The time columns carried on orders, actions and executions prune the chunks of each hypertable.
create or replace view oms.lineage as
select
    e.execution_id, e.order_id, o.signal_id, g.batch_id, v.venue, e.session_id,
    i.symbol, e.side, e.quantity, e.price, e.fee, e.exec_id,
    o.account, s.strategy, o.origin, o.operator, o.parent_order_id, o.pair_id, o.cl_ord_id,
    d.decision_id, d.passed as risk_passed, d.controls as risk_controls, d.observed as risk_observed,
    d.limit_values as risk_limits,
    g.event as signal_event, g.target as signal_target, g.z_score, b.batch_no,
    qa.symbol as quote_1_symbol, qa.ts as quote_1_ts, qa.ns as quote_1_ns, qa.source_id as quote_1_source_id,
    qa.seq as quote_1_seq, qa.bid_price as quote_1_bid_price, qa.ask_price as quote_1_ask_price,
    qb.symbol as quote_2_symbol, qb.ts as quote_2_ts, qb.ns as quote_2_ns, qb.source_id as quote_2_source_id,
    qb.seq as quote_2_seq, qb.bid_price as quote_2_bid_price, qb.ask_price as quote_2_ask_price,
    a.message_id as sent_message_id, ms.raw as sent_message,
    e.message_id as received_message_id, mr.raw as received_message,
    -- Session time, then wall time hop by hop.
    o.as_of as decided_as_of, e.ts as executed_at,
    b.recorded_at as batch_recorded_at, g.recorded_at as signal_recorded_at,
    d.decided_at as risk_decided_at, o.recorded_at as order_recorded_at, a.sent_at,
    e.message_at as received_at, e.recorded_at as execution_recorded_at,
    gs.source_signal_ids
from oms.executions e
join ref.venues v on v.venue_id = e.venue_id
join ref.instruments i on i.instrument_id = e.instrument_id
join signal.strategies s on s.strategy_id = e.strategy_id
left join oms.orders o on o.order_id = e.order_id
left join risk.decisions d on d.decided_at = o.decided_at and d.order_id = o.order_id
left join oms.order_actions a on a.order_id = o.order_id and a.kind = 'new'
left join oms.fix_messages ms on ms.recorded_at = a.message_at and ms.message_id = a.message_id
left join oms.fix_messages mr on mr.recorded_at = e.message_at and mr.message_id = e.message_id
left join signal.signals g on g.as_of = o.signal_as_of and g.signal_id = o.signal_id
left join market.batches b on b.batch_id = g.batch_id
left join lateral (
    select qi.symbol, q.* from signal.targets t
    join market.quotes q on q.instrument_id = t.instrument_id and q.ts = t.quote_ts and q.ns = t.quote_ns
        and q.source_id = t.quote_source_id and q.seq = t.quote_seq
    join ref.instruments qi on qi.instrument_id = t.instrument_id
    where t.as_of = g.as_of and t.signal_id = g.signal_id
        and t.leg = case when g.pair_id is null then o.signal_leg else 1 end) qa on true
left join lateral (
    select qi.symbol, q.* from signal.targets t
    join market.quotes q on q.instrument_id = t.instrument_id and q.ts = t.quote_ts and q.ns = t.quote_ns
        and q.source_id = t.quote_source_id and q.seq = t.quote_seq
    join ref.instruments qi on qi.instrument_id = t.instrument_id
    where t.as_of = g.as_of and t.signal_id = g.signal_id
        and t.leg = 2 and g.pair_id is not null) qb on true
left join lateral (
    select array_agg(x.signal_id order by x.signal_id) as source_signal_ids
    from signal.signals x
    where g.pair_id is null and x.pair_id is not null and x.refusal is null
        and x.session_id = g.session_id and x.as_of = g.as_of and x.batch_no = g.batch_no
        and x.strategy_id = g.strategy_id
        and exists (
            select from signal.targets t
            where t.as_of = x.as_of and t.signal_id = x.signal_id and t.instrument_id = e.instrument_id)) gs on true;
comment on view oms.lineage is
    'From each execution back to the order, its risk checks, the signal, the batch, the two quotes that triggered it (of a portfolio''s rebalance: its own quote, and in source_signal_ids the signals that were netted), and the FIX messages sent and received.';
