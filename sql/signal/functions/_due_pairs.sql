-- The pairs of a session to step on a batch, with what their step is given: those pinned to it that no
-- error has stopped and of which a leg had a quote in the batch. Inlined.
create or replace function signal._due_pairs(p_session_id uuid, p_batch_id bigint, p_as_of timestamptz)
returns table (
    pair_id bigint, strategy_id integer, instruments integer[], state signal.pairs_state,
    input signal.pairs_input, parameters signal.pairs_parameters
)
language sql
stable
as $$
    with quotes as materialized (
        select q.instrument_id, (q.bid_price + q.ask_price) / 2.0::float8 / i.price_unit as mid
        from market.batch_quotes q join ref.instruments i using (instrument_id)
        where q.batch_id = p_batch_id and q.as_of = p_as_of
    )
    select p.pair_id, p.strategy_id, array[p.instrument_a, p.instrument_b], s.state,
           row(p_as_of, a.mid, b.mid)::signal.pairs_input, p.parameters
    from signal.session_pairs sp
    join signal.pairs p on p.pair_id = sp.pair_id
    left join signal.pair_states s on s.session_id = sp.session_id and s.pair_id = sp.pair_id
    left join quotes a on a.instrument_id = p.instrument_a
    left join quotes b on b.instrument_id = p.instrument_b
    where sp.session_id = p_session_id and (a.mid is not null or b.mid is not null)
        and not exists (
            select from signal.strategy_errors e
            where e.session_id = p_session_id and e.instance_id = sp.pair_id)
$$;
comment on function signal._due_pairs(uuid, bigint, timestamptz) is 'The pairs of a session to step on a batch.';
