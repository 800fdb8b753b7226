-- Checks the order log against itself, the orders, the seals and, if given, the copies of the seals that
-- were kept outside: one row per thing that is wrong, so no row means the log is whole. Reads it all.
-- p_seals: array of objects with seal_no and digest (hexadecimal), as oms.seal_log returned them.
--   changed_event    an event is not what was hashed when it was written
--   missing_event    an event between two others is gone, or the first
--   cut_off          events at the end are gone: the order or a seal knows of later ones
--   order_differs    the order does not stand where its last event says
--   missing_order    events of an order that does not exist
--   changed_seal     a seal or its list of heads was changed
--   missing_seal     a seal between two others is gone, or one that was kept outside
--   seal_differs     a seal is not the one that was kept outside
create or replace function oms.verify_log(p_seals jsonb default '[]')
returns table (finding text, order_id bigint, event_no integer, seal_no bigint, detail text)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    with chained as (
        select e.order_id, e.event_no, e.hash, e.prev_hash, oms._event_hash(e.prev_hash, e) as due,
            lag(e.event_no, 1, 0) over own as event_before, lag(e.hash, 1, ''::bytea) over own as hash_before
        from oms.order_events e
        window own as (partition by e.order_id order by e.event_no)),
    last as (
        select distinct on (e.order_id) e.order_id, e.event_no, e.hash, e.to_status, e.order_quantity,
            e.cumulative_quantity, e.leaves_quantity
        from oms.order_events e order by e.order_id, e.event_no desc),
    sealed as (
        select s.seal_no, s.digest, oms._seal_digest(s.seal_no, lag(s.digest, 1, ''::bytea) over seals) as due,
            lag(s.seal_no, 1, 0::bigint) over seals as seal_before
        from oms.seals s
        window seals as (order by s.seal_no)),
    kept as (
        select (k->>'seal_no')::bigint as seal_no, decode(k->>'digest', 'hex') as digest
        from jsonb_array_elements(p_seals) k)
    select 'changed_event', c.order_id, c.event_no, null::bigint, 'its hash is not that of its content'
    from chained c where c.hash is distinct from c.due
    union all
    select 'missing_event', c.order_id, c.event_no, null, format('event %s follows event %s', c.event_no, c.event_before)
    from chained c where c.event_no <> c.event_before + 1
    union all
    select 'changed_event', c.order_id, c.event_no, null, 'it does not follow from the event before'
    from chained c where c.event_no = c.event_before + 1 and c.prev_hash is distinct from c.hash_before
    union all
    select 'cut_off', o.order_id, l.event_no, null,
        format('the order counts %s events, the log has %s', o.event_count, coalesce(l.event_no, 0))
    from oms.orders o left join last l using (order_id)
    where o.event_count > coalesce(l.event_no, 0)
    union all
    select 'order_differs', o.order_id, l.event_no, null, 'status, quantities or hash are not those of its last event'
    from oms.orders o join last l using (order_id)
    where o.event_count <= l.event_no
        and (o.event_count, o.chain_hash, o.status, o.quantity, o.cumulative_quantity, o.leaves_quantity)
        is distinct from (l.event_no, l.hash, l.to_status, l.order_quantity, l.cumulative_quantity, l.leaves_quantity)
    union all
    select 'missing_order', l.order_id, l.event_no, null, 'its order is gone'
    from last l where not exists (select from oms.orders o where o.order_id = l.order_id)
    union all
    select 'cut_off', h.order_id, h.event_no, h.seal_no, 'the log does not reach the event that was sealed'
    from oms.sealed_heads h left join last l using (order_id)
    where h.event_no > coalesce(l.event_no, 0)
    union all
    select 'changed_event', h.order_id, h.event_no, h.seal_no, 'it is not the event that was sealed'
    from oms.sealed_heads h
    join oms.order_events e on e.order_id = h.order_id and e.event_no = h.event_no
    where e.hash is distinct from h.hash
    union all
    select 'changed_seal', null, null, s.seal_no, 'its digest is not that of its heads and the seal before'
    from sealed s where s.digest is distinct from s.due
    union all
    select 'missing_seal', null, null, s.seal_no, format('seal %s follows seal %s', s.seal_no, s.seal_before)
    from sealed s where s.seal_no <> s.seal_before + 1
    union all
    select 'missing_seal', null, null, k.seal_no, 'it was kept outside and is not in the database'
    from kept k where not exists (select from oms.seals s where s.seal_no = k.seal_no)
    union all
    select 'seal_differs', null, null, k.seal_no, 'it is not the one that was kept outside'
    from kept k join oms.seals s using (seal_no) where s.digest is distinct from k.digest
$$;
comment on function oms.verify_log(jsonb) is
    'Checks the order log against itself, the orders and the seals: one row per changed, missing or cut-off event; none means it is whole. p_seals: the seals that were kept outside, objects with seal_no and digest.';
grant execute on function oms.verify_log(jsonb) to tsdb_reader, tsdb_worker_scheduler;
