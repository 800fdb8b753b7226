-- What the class of a Python strategy is to be stepped on over history, in order: for backtest.run's
-- p_decisions, of the same arguments. The first row of each instance has its parameters.
-- Errors: as backtest.run; TT004 a strategy that is not in Python.
create or replace function backtest.python_inputs(
    p_strategy text,
    p_parameters jsonb default '{}',
    p_from timestamptz default null,
    p_to timestamptz default null
)
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
    v_run jsonb;
    v_times timestamptz[];
    v_series backtest.price_series[];
begin
    perform backtest._check_strategy(p_strategy);
    if not exists (select from signal.strategies s where s.strategy = p_strategy and s.python_class is not null) then
        raise exception 'strategy "%" is not in Python: use backtest.run', p_strategy using errcode = 'TT004';
    end if;
    v_run := backtest._read_run(p_strategy, p_parameters, p_from, p_to);
    select s.times, s.series into v_times, v_series
    from backtest._read_series(
        v_run, array(select distinct u.id from backtest._instances(v_run) i
                     cross join lateral unnest(i.instruments) u (id) order by 1), p_from, p_to) s;
    return query
    select p_strategy, n.instance_id, n.moment::bigint, (n.input).as_of, (n.input).mids, (n.input).features,
           case when row_number() over (partition by n.instance_id order by n.moment) = 1 then n.parameters end,
           null::jsonb
    from backtest._step_inputs(v_run, v_times, v_series, p_from, p_to) n
    order by n.instance_id, n.moment;
end
$$;
comment on function backtest.python_inputs(text, jsonb, timestamptz, timestamptz) is
    'What the class of a Python strategy is to be stepped on over history, in order.';
grant execute on function backtest.python_inputs(text, jsonb, timestamptz, timestamptz) to tsdb_quant;
