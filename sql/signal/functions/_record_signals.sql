-- Writes what was decided on a batch as signals with their targets; how many.
-- plpgsql, here and in what it calls, because a function in language sql is planned again at every call.
create or replace function signal._record_signals(p_batch market.batches, p_decisions signal.decision[])
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count integer;
begin
    with decided as materialized (
        select d.*, coalesce(d.instance_id, -d.strategy_id) as key from unnest(p_decisions) d
    ),
    signalled as (
        insert into signal.signals
            (as_of, session_id, strategy_id, pair_id, batch_id, batch_no, event, target, spread, z_score,
             traded, refusal)
        select p_batch.as_of, p_batch.session_id, d.strategy_id, d.instance_id, p_batch.batch_id, p_batch.batch_no,
               d.event, d.target, d.spread, d.z_score, d.traded, d.refusal
        from decided d
        order by d.instance_id is null, d.instance_id
        returning signal_id, coalesce(pair_id, -strategy_id) as key
    ),
    legs as (
        select g.signal_id, u.leg, u.instrument_id, u.quantity
        from signalled g
        join decided d using (key)
        cross join lateral unnest(d.instruments, d.quantities) with ordinality u (instrument_id, quantity, leg)
    ),
    quotes as materialized (
        select q.* from signal._last_quotes(
            p_batch.session_id, array(select l.instrument_id from legs l), p_batch.batch_no, p_batch.as_of) q
    ),
    targeted as (
        insert into signal.targets
            (as_of, signal_id, leg, instrument_id, target_quantity, mid,
             quote_ts, quote_ns, quote_source_id, quote_seq)
        select p_batch.as_of, l.signal_id, l.leg, l.instrument_id, l.quantity, q.mid, q.ts, q.ns, q.source_id, q.seq
        from legs l left join quotes q using (instrument_id)
    )
    select count(*) into v_count from signalled;
    return v_count;
end
$$;
comment on function signal._record_signals(market.batches, signal.decision[]) is
    'Writes what was decided on a batch as signals with their targets; how many.';
