-- A backtest as a query: steps the strategy's own function over history, keeps the run with its
-- signals, orders, executions and equity, and returns its summary.
--
-- p_strategy     pairs, or any strategy with a step (signal.strategies).
-- p_parameters   source: session (recorded batches of session_id: the signals equal the live ones),
--                quotes (a grid of a feed's quotes in regular hours), bars (a grid of its minute bars) or
--                daily (its daily bars, carried forward through corporate actions, known at the close);
--                by default session with session_id, quotes where the feed has some, else daily;
--                session_id; feed; grid (1 second, on bars 1 minute); fill: next (the open of the next
--                bar, or the next quote; the default on bars) or same (the price decided on, the default
--                elsewhere); instances, or pairs (ids, by default those pinned to the session or valid at any
--                time of the window, each stepped in its validity and closed at its end); capital (1,000,000);
--                in_sample (true steps pairs outside of their validity as well); delisted_after (on
--                daily bars 10 days, at least 5: how long a leg may have no price before its position is closed);
--                costs (an object that replaces values of the cost model); portfolio (an object of
--                max_gross, max_sector_net, max_market_net, max_positions, {} nets alone: instances are
--                netted and constrained together; by default as the session is); universe (a list of symbols, or an
--                index with the members it had on p_from: instances with a leg outside are left out); close_at_end
--                (true sells what is open at the last price, event end; else it is kept and marked, and a
--                notice, a warning and runs.open_positions say how many); seed; and any parameter of
--                the strategy, which replaces that of every instance.
-- p_from, p_to   p_from < time <= p_to; optional with a session.
-- p_costs        a row of backtest.cost_models: none, percentage, realistic.
-- p_decisions    of a Python strategy, which tsdb-trader backtest run steps over backtest.python_inputs: an array
--                of [instance, moment, event, quantities, score].
--
-- trades         number of executions.
-- total_return   final equity / capital - 1.
-- sharpe         mean / sample deviation of the equity's changes, annualised: on daily bars from day to day,
--                times the square root of 252, else between minutes (the last equity of each; between grid
--                times where the grid is wider), times the square root of such steps in a year of 252
--                days of 390 minutes. Null without variation.
-- max_drawdown   largest loss from the highest equity so far, as a share of it.
-- turnover       traded value / capital.
-- costs          fees, and what fills paid beyond the mid, open or close, in account currency.
-- What a run could not do is in backtest.runs.warnings. An instance whose step fails is stopped there, as live:
-- backtest.run_errors has when and why, a warning how many, and the others go on.
-- Errors: TT001 a parameter that cannot be, no prices, or a step that fails in every instance, an inputs function
-- or a portfolio that fails: nothing is kept; TT004 a Python strategy without decisions; TT002 a strategy, cost model, session, feed or
-- pair that does not exist; the message names what is allowed.
create or replace function backtest.run(
    p_strategy text,
    p_parameters jsonb default '{}',
    p_from timestamptz default null,
    p_to timestamptz default null,
    p_costs text default 'realistic',
    p_decisions jsonb default null
)
returns table (
    run_id bigint, trades bigint, total_return double precision, sharpe double precision,
    max_drawdown double precision, turnover double precision, costs double precision,
    elapsed_ms double precision
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off -- To compile its plans takes longer than to run them.
as $$
declare
    v_started timestamptz := clock_timestamp();
    v_costs backtest.cost_models;
    v_run jsonb;
    v_run_id bigint;
    v_open integer;
    v_failed text;
    v_stack text;
begin
    perform backtest._check_strategy(p_strategy);
    if p_decisions is null then
        perform backtest._check_steps_here(p_strategy, 'tsdb-trader backtest run');
    end if;
    if p_decisions is not null and (jsonb_typeof(p_decisions) <> 'array' or not exists (
        select from signal.strategies s where s.strategy = p_strategy and s.python_class is not null))
    then
        raise exception 'p_decisions is a list, and for a strategy in Python alone' using errcode = 'TT001';
    end if;
    v_costs := backtest._read_costs(p_costs, coalesce(p_parameters->'costs', '{}'));
    v_run := backtest._read_run(p_strategy, p_parameters, p_from, p_to);

    insert into backtest.runs
        (strategy, parameters, from_ts, to_ts, costs, code_hash, data_watermark, run_by, seed, warnings)
    values (p_strategy, v_run, p_from, p_to, p_costs, signal.code_hash(p_strategy), '{}', session_user,
            (v_run->>'seed')::bigint, backtest._foresee(v_run, v_costs))
    returning runs.run_id into v_run_id;
    begin
        perform backtest._simulate(
            v_run_id,
            case when p_decisions is null then v_run else v_run || jsonb_build_object('decisions', p_decisions) end,
            v_costs, p_from, p_to);
    exception when sqlstate 'TT001' or sqlstate 'TT002' or sqlstate 'TT004' then
        -- Its context is the text of every statement that it came through.
        raise exception '%', sqlerrm using errcode = sqlstate;
    end;
    v_failed := backtest._judge_failures(v_run_id, v_run);
    perform backtest._summarize(v_run_id);
    select r.open_positions into v_open from backtest.runs r where r.run_id = v_run_id;
    get diagnostics v_stack = pg_context;
    -- Whoever called a function that runs many is not told of each.
    if v_open > 0 and strpos(v_stack, E'\n') = 0 then
        raise notice '% of % % still open at the end, marked at the last price; "close_at_end": true closes them',
            v_open, jsonb_array_length(v_run->'instances'),
            case when p_strategy = 'pairs' then 'pairs' else 'instances' end;
    end if;
    if v_failed is not null and strpos(v_stack, E'\n') = 0 then
        raise warning '%; see backtest.run_errors', v_failed;
    end if;

    return query
    update backtest.runs r
    set elapsed_ms = date_part('epoch', clock_timestamp() - v_started) * 1000
    where r.run_id = v_run_id
    returning r.run_id, r.trades, r.total_return, r.sharpe, r.max_drawdown, r.turnover, r.cost_amount,
        r.elapsed_ms;
end
$$;
comment on function backtest.run(text, jsonb, timestamptz, timestamptz, text, jsonb) is
    'Runs a backtest over a stored session, quotes or bars, keeps it, and returns its summary.';
grant execute on function backtest.run(text, jsonb, timestamptz, timestamptz, text, jsonb) to tsdb_quant;
