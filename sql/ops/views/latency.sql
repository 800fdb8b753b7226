-- Wall-clock latency per session and stage of the order path, in milliseconds.
create or replace view ops.latency as
with hops as (
    select o.session_id, 'quote to signal' as stage, 1 as stage_no, g.recorded_at - b.recorded_at as took
    from oms.orders o
    join signal.signals g on g.as_of = o.signal_as_of and g.signal_id = o.signal_id
    join market.batches b on b.batch_id = g.batch_id
    union all
    select o.session_id, 'signal to order', 2, o.recorded_at - g.recorded_at
    from oms.orders o
    join signal.signals g on g.as_of = o.signal_as_of and g.signal_id = o.signal_id
    union all
    select o.session_id, 'order to wire', 3, a.sent_at - o.recorded_at
    from oms.orders o join oms.order_actions a using (order_id)
    where a.kind = 'new' and a.sent_at is not null and not a.possible_resend
    union all
    select o.session_id, 'quote to wire', 4, a.sent_at - b.recorded_at
    from oms.orders o
    join oms.order_actions a using (order_id)
    join signal.signals g on g.as_of = o.signal_as_of and g.signal_id = o.signal_id
    join market.batches b on b.batch_id = g.batch_id
    where a.kind = 'new' and a.sent_at is not null and not a.possible_resend
    union all
    select o.session_id, 'wire to acknowledgement', 5, m.recorded_at - a.sent_at
    from oms.orders o
    join oms.order_actions a using (order_id)
    join lateral (
        select e.message_id, e.recorded_at from oms.order_events e
        where e.order_id = o.order_id and e.message_id is not null
        order by e.event_no limit 1) m on true
    where a.kind = 'new' and a.sent_at is not null and not a.possible_resend
    union all
    select session_id, 'report to booked', 6, recorded_at - message_at
    from oms.executions where order_id is not null)
select session_id, stage, stage_no, count(*) as samples,
    percentile_cont(0.5) within group (order by extract(epoch from took)::double precision) * 1000 as p50_ms,
    percentile_cont(0.99) within group (order by extract(epoch from took)::double precision) * 1000 as p99_ms,
    max(extract(epoch from took)::double precision) * 1000 as max_ms
from hops
group by session_id, stage, stage_no;
comment on view ops.latency is
    'Latency per session and stage in milliseconds. Recovered orders (PossResend) are left out of the stages from the wire on.';
