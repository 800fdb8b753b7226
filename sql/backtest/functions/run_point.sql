-- Runs one point of a sweep, as backtest.run does, and returns its run_id; a point that was run already is
-- not run again. Points of a sweep may run on several connections at once.
-- p_decisions as in backtest.run, of a strategy in Python.
-- Errors: as backtest.run; TT001 a point that is none of the grid, TT002 unknown sweep.
create or replace function backtest.run_point(p_sweep_id bigint, p_point jsonb, p_decisions jsonb default null)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_point constant jsonb := backtest._find_point(p_sweep_id, p_point);
    v_sweep backtest.sweeps;
    v_run_id bigint := backtest.claim_point(p_sweep_id, v_point);
begin
    if v_run_id is not null then
        return v_run_id;
    end if;
    select * into v_sweep from backtest.sweeps s where s.sweep_id = p_sweep_id;
    select n.run_id into v_run_id
    from backtest.run(v_sweep.strategy, v_sweep.parameters || v_point, v_sweep.from_ts, v_sweep.to_ts, v_sweep.costs,
                      p_decisions) n;
    update backtest.runs r set sweep_id = p_sweep_id, changes = v_point where r.run_id = v_run_id;
    delete from backtest.sweep_failures f where f.sweep_id = p_sweep_id and md5(f.point::text) = md5(v_point::text);
    return v_run_id;
end
$$;
comment on function backtest.run_point(bigint, jsonb, jsonb) is 'Runs one point of a sweep; returns its run_id.';
grant execute on function backtest.run_point(bigint, jsonb, jsonb) to tsdb_quant;
