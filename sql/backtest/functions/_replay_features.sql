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
    v_to timestamptz;
begin
    select min(b.from_ts) - p_strategy.lookback, max(b.as_of) into v_from, v_to
    from market.batches b where b.session_id = p_session_id and b.batch_no < v_until;
    if p_strategy.inputs is null or v_to is null then
        return;
    end if;
    return query execute format($query$
        with spans as (
            select b.batch_no, b.as_of, lag(b.as_of, 1, $3) over (order by b.batch_no) as since
            from market.batches b where b.session_id = $1 and b.batch_no < $5
        )
        select distinct on (f.instrument_id, s.batch_no) f.instrument_id, s.batch_no, f.as_of, f.features
        from %s($2, $3, $4) f
        join spans s on f.as_of > s.since and f.as_of <= s.as_of
        where f.instrument_id = any ($2) and f.features is not null
        order by f.instrument_id, s.batch_no, f.as_of desc, f.features desc
        $query$, p_strategy.inputs)
    using p_session_id, signal._legs_of(p_session_id, p_strategy.strategy_id), v_from, v_to, v_until;
end
$$;
comment on function backtest._replay_features(uuid, signal.strategies) is
    'The features that became known with each batch of a session, asked anew.';
