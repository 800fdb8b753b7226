-- Every state of every pinned pair of a session, stepped anew over its batches in the order of
-- their numbers, on quotes computed anew from the ticks; a pair that failed, up to then.
create or replace function backtest._replay_states(p_session_id uuid)
returns table (pair_id bigint, batch_no bigint, as_of timestamptz, state signal.pairs_state)
language sql
stable
rows 50000
as $$
    with mids as materialized (
        select q.batch_no, q.as_of, q.instrument_id,
               (q.bid_price + q.ask_price) / 2.0::float8 / i.price_unit as mid
        from backtest._replay_quotes(p_session_id) q join ref.instruments i using (instrument_id)
    ),
    inputs as (
        select p.pair_id, p.parameters, m.batch_no, m.as_of,
               max(m.mid) filter (where m.instrument_id = p.instrument_a) as mid_a,
               max(m.mid) filter (where m.instrument_id = p.instrument_b) as mid_b
        from signal.session_pairs sp
        join signal.pairs p on p.pair_id = sp.pair_id
        join mids m on m.instrument_id in (p.instrument_a, p.instrument_b)
        left join signal.strategy_errors e on e.session_id = sp.session_id and e.instance_id = sp.pair_id
        where sp.session_id = p_session_id and (m.batch_no >= e.batch_no) is not true
        group by p.pair_id, m.batch_no, m.as_of
    )
    select n.pair_id, n.batch_no, n.as_of,
           signal.run_pairs(row(n.as_of, n.mid_a, n.mid_b)::signal.pairs_input, n.parameters) over w
    from inputs n
    window w as (partition by n.pair_id order by n.batch_no rows unbounded preceding)
$$;
comment on function backtest._replay_states(uuid) is
    'Every state of every pair of a session, stepped anew from the stored ticks.';
