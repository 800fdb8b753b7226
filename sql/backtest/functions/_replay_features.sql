-- The last feature row of each instrument that became known with each batch of a session, asked anew of
-- the strategy's inputs function, for the whole session at once; up to the batch it failed on, if any.
create or replace function backtest._replay_features(p_session_id uuid, p_strategy signal.strategies)
returns table (instrument_id integer, batch_no bigint, as_of timestamptz, features double precision[])
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_until bigint := coalesce((
        select min(e.batch_no) from signal.strategy_errors e
        where e.session_id = p_session_id and e.strategy_id = p_strategy.strategy_id and e.instance_id is null),
        9223372036854775807);
    v_from timestamptz;
    v_ends timestamptz[];
    v_numbers bigint[];
begin
    select min(b.from_ts) - p_strategy.lookback, array_agg(b.as_of order by b.as_of), array_agg(b.batch_no order by b.as_of)
    into v_from, v_ends, v_numbers
    from market.batches b where b.session_id = p_session_id and b.batch_no < v_until;
    if p_strategy.inputs is null or v_ends is null then
        return;
    end if;
    -- A row belongs to the first batch that ends at its time or later: found by halving, because a join on a range
    -- compares every row with every batch.
    return query execute format($query$
        select distinct on (f.instrument_id, b.batch_no) f.instrument_id, b.batch_no, f.as_of, f.features
        from %s($1, $2, $3[cardinality($3)]) f
        cross join lateral (select $4[1 + width_bucket(f.as_of - interval '1 microsecond', $3)] as batch_no) b
        where f.instrument_id = any ($1) and f.features is not null
            and f.as_of > $2 and f.as_of <= $3[cardinality($3)]
        order by f.instrument_id, b.batch_no, f.as_of desc, f.features desc
        $query$, p_strategy.inputs)
    using signal._legs_of(p_session_id, p_strategy.strategy_id), v_from, v_ends, v_numbers;
end
$$;
comment on function backtest._replay_features(uuid, signal.strategies) is
    'The features that became known with each batch of a session, asked anew.';
