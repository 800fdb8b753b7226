-- A backtest as a query: steps the strategy's own function over history, keeps the run with its
-- signals, orders, executions and equity, and returns its summary.
--
-- p_strategy     pairs.
-- p_parameters   source: session (recorded batches of session_id: the signals equal the live ones),
--                quotes (a grid of a feed's quotes in regular hours) or bars (a grid of its minute
--                bars); session_id; feed; grid (1 second, on bars 1 minute); pairs (pair_ids, by
--                default those pinned to the session or valid at p_from); capital (1,000,000);
--                in_sample (true allows pairs calibrated after p_from); and any parameter of the
--                strategy, which replaces that of every pair.
-- p_from, p_to   p_from < time <= p_to; optional with a session.
-- p_costs        a row of backtest.cost_models: none, realistic.
--
-- trades         number of executions.
-- total_return   final equity / capital.
-- sharpe         mean / sample deviation of the equity's changes between minutes (the last equity of
--                each; between grid times where the grid is wider), times the square root of such
--                steps in a year of 252 days of 390 minutes. Null without variation.
-- max_drawdown   largest loss from a peak, as a share of capital plus the peak's equity.
-- turnover       traded value / capital.
-- costs          fees, and what fills paid beyond the mid, in account currency.
-- Errors: TT001 a parameter that cannot be, TT002 a strategy, cost model, session, feed or pair that
-- does not exist; the message names what is allowed.
create or replace function backtest.run(
    p_strategy text,
    p_parameters jsonb default '{}',
    p_from timestamptz default null,
    p_to timestamptz default null,
    p_costs text default 'realistic'
)
returns table (
    run_id bigint, trades bigint, total_return double precision, sharpe double precision,
    max_drawdown double precision, turnover double precision, costs double precision,
    elapsed_ms double precision
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_started timestamptz := clock_timestamp();
    v_costs backtest.cost_models;
    v_run jsonb;
    v_run_id bigint;
begin
    if p_strategy is distinct from 'pairs' then
        raise exception 'unknown strategy "%": use pairs', p_strategy using errcode = 'TT002';
    end if;
    select * into v_costs from backtest.cost_models m where m.cost_model = p_costs;
    if not found then
        raise exception 'unknown cost model "%": use %', p_costs,
            (select string_agg(m.cost_model, ', ' order by m.cost_model) from backtest.cost_models m)
            using errcode = 'TT002';
    end if;
    v_run := backtest._read_run(p_parameters, p_from, p_to);

    insert into backtest.runs (strategy, parameters, from_ts, to_ts, costs, code_hash, data_watermark, run_by)
    values (p_strategy, v_run, p_from, p_to, p_costs, signal.code_hash(),
            backtest._data_watermark(v_run, p_from, p_to), session_user)
    returning runs.run_id into v_run_id;
    perform backtest._simulate(v_run_id, v_run, v_costs, p_from, p_to);
    perform backtest._summarize(v_run_id);

    return query
    update backtest.runs r
    set elapsed_ms = date_part('epoch', clock_timestamp() - v_started) * 1000
    where r.run_id = v_run_id
    returning r.run_id, r.trades, r.total_return, r.sharpe, r.max_drawdown, r.turnover, r.cost_amount,
        r.elapsed_ms;
end
$$;
comment on function backtest.run(text, jsonb, timestamptz, timestamptz, text) is
    'Runs a backtest over a stored session, quotes or bars, keeps it, and returns its summary.';
grant execute on function backtest.run(text, jsonb, timestamptz, timestamptz, text) to tsdb_quant;
