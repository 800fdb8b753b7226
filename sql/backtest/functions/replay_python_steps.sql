-- What the Python strategies of a session are stepped on, computed anew, with the states recorded live, for a
-- comparison with what their classes make of it; moment is the batch. The first row of each instance has its
-- parameters. Errors: TT002 unknown session.
create or replace function backtest.replay_python_steps(p_session_id uuid)
returns table (
    strategy text, instance_id bigint, moment bigint, as_of timestamptz, mids double precision[],
    features double precision[], parameters jsonb, state jsonb
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_strategy signal.strategies;
begin
    if not exists (select from ops.sessions s where s.session_id = p_session_id) then
        raise exception 'session % does not exist', p_session_id using errcode = 'TT002';
    end if;
    for v_strategy in
        select s.* from signal.strategies s
        where s.python_class is not null and s.strategy_id in (
            select n.strategy_id
            from signal.session_instances si join signal.instances n on n.instance_id = si.instance_id
            where si.session_id = p_session_id)
        order by s.strategy_id
    loop
        return query
        select v_strategy.strategy, coalesce(n.instance_id, y.instance_id), coalesce(n.batch_no, y.batch_no),
               coalesce((n.input).as_of, y.as_of), (n.input).mids, (n.input).features,
               case when row_number() over (
                       partition by coalesce(n.instance_id, y.instance_id)
                       order by n.instance_id is null, n.batch_no) = 1 then n.parameters end,
               y.state
        from backtest._replay_inputs(p_session_id, v_strategy) n
        full join (
            select y.* from signal.python_steps y
            join signal.instances i on i.instance_id = y.instance_id
            where y.session_id = p_session_id and i.strategy_id = v_strategy.strategy_id
                -- The state of an instance that was stopped with it is none.
                and not exists (
                    select from signal.strategy_errors e
                    where e.session_id = p_session_id and e.strategy_id = i.strategy_id
                        and coalesce(e.instance_id, y.instance_id) = y.instance_id and e.batch_no <= y.batch_no)) y
            on y.instance_id = n.instance_id and y.batch_no = n.batch_no and y.as_of = (n.input).as_of
        order by 2, 3;
    end loop;
end
$$;
comment on function backtest.replay_python_steps(uuid) is
    'What the Python strategies of a session are stepped on, computed anew, with the states recorded live.';
grant execute on function backtest.replay_python_steps(uuid) to tsdb_reader;
