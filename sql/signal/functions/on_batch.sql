-- Steps every pair of the session that had a quote in the batch, in one statement: states, signals
-- with their targets, and the record that the batch was consumed. Returns the number of signals.
-- A consumed batch returns 0 and changes nothing. Batches are consumed in the order of batch_no.
-- Notifies signal_signals once, when there is a signal.
-- Errors: TT002 unknown batch, TT001 a batch before its turn.
create or replace function signal.on_batch(p_batch_id bigint)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_batch market.batches;
    v_last bigint;
    v_signals integer;
begin
    select * into v_batch from market.batches b where b.batch_id = p_batch_id;
    if not found then
        raise exception 'batch % does not exist', p_batch_id using errcode = 'TT002';
    end if;
    -- Two workers of one session queue up here; the next statement sees what the first one did.
    perform pg_advisory_xact_lock(hashtextextended('signal.on_batch ' || v_batch.session_id, 0));
    select max(c.consumption_no) into v_last from signal.consumed_batches c
    where c.session_id = v_batch.session_id;
    if v_batch.batch_no <= v_last then
        return 0;
    elsif v_batch.batch_no > coalesce(v_last, 0) + 1 then
        raise exception 'batch % of session % comes after batch %, which is not consumed: use signal.next_batch',
            v_batch.batch_no, v_batch.session_id, coalesce(v_last, 0) + 1 using errcode = 'TT001';
    end if;

    with quotes as materialized (
        select q.instrument_id, (q.bid_price + q.ask_price) / 2.0::float8 / i.price_unit as mid,
               q.ts, q.ns, q.source_id, q.seq
        from market.batch_quotes q join ref.instruments i using (instrument_id)
        where q.batch_id = p_batch_id and q.as_of = v_batch.as_of
    ),
    -- Materialised: the step function must run once per pair.
    stepped as materialized (
        select p.pair_id, p.strategy_id, p.instrument_a, p.instrument_b,
               signal.step_pairs(s.state, row(v_batch.as_of, a.mid, b.mid)::signal.pairs_input, p.parameters) as state
        from signal.session_pairs sp
        join signal.pairs p on p.pair_id = sp.pair_id
        left join signal.pair_states s on s.session_id = sp.session_id and s.pair_id = sp.pair_id
        left join quotes a on a.instrument_id = p.instrument_a
        left join quotes b on b.instrument_id = p.instrument_b
        where sp.session_id = v_batch.session_id and (a.mid is not null or b.mid is not null)
    ),
    saved as (
        insert into signal.pair_states (session_id, pair_id, batch_id, batch_no, state)
        select v_batch.session_id, t.pair_id, p_batch_id, v_batch.batch_no, t.state from stepped t
        on conflict (session_id, pair_id) do update
        set batch_id = excluded.batch_id, batch_no = excluded.batch_no, state = excluded.state
    ),
    signalled as (
        insert into signal.signals
            (as_of, session_id, strategy_id, pair_id, batch_id, batch_no, event, target, spread, z_score)
        select v_batch.as_of, v_batch.session_id, t.strategy_id, t.pair_id, p_batch_id, v_batch.batch_no,
               (t.state).event, (t.state).target, (t.state).spread, (t.state).z_score
        from stepped t
        where (t.state).event is not null
        order by t.pair_id
        returning signal_id, pair_id
    ),
    targeted as (
        insert into signal.targets
            (as_of, signal_id, leg, instrument_id, target_quantity, mid,
             quote_ts, quote_ns, quote_source_id, quote_seq)
        select v_batch.as_of, g.signal_id, l.leg, l.instrument_id, l.quantity, l.mid,
               coalesce(n.ts, q.ts), coalesce(n.ns, q.ns), coalesce(n.source_id, q.source_id), coalesce(n.seq, q.seq)
        from signalled g
        join stepped t using (pair_id)
        cross join lateral (values
            (1::smallint, t.instrument_a, (t.state).quantity_a, (t.state).mid_a),
            (2::smallint, t.instrument_b, (t.state).quantity_b, (t.state).mid_b)
        ) l (leg, instrument_id, quantity, mid)
        left join quotes n on n.instrument_id = l.instrument_id
        -- A leg without a quote in this batch was decided on its last one: as of this batch, because
        -- later batches may already be there.
        left join lateral (
            select q.ts, q.ns, q.source_id, q.seq from market.batch_quotes q
            where n.instrument_id is null
                and q.session_id = v_batch.session_id and q.instrument_id = l.instrument_id
                and q.as_of <= v_batch.as_of and q.batch_no <= v_batch.batch_no
            order by q.as_of desc, q.batch_no desc limit 1) q on true
    )
    insert into signal.consumed_batches (session_id, batch_id, consumption_no, pairs_stepped, signals)
    select v_batch.session_id, p_batch_id, v_batch.batch_no,
           (select count(*) from stepped), (select count(*) from signalled)
    returning signals into v_signals;
    if v_signals > 0 then
        perform pg_notify('signal_signals', '');
    end if;
    return v_signals;
end
$$;
comment on function signal.on_batch(bigint) is
    'Steps every pair of the session that had a quote in the batch; returns the number of signals. Idempotent.';
grant execute on function signal.on_batch(bigint) to tsdb_worker_signals;
