-- Runs one point of a sweep, as backtest.run does, and returns its run_id; a point that was run already is
-- not run again. Points of a sweep may run on several connections at once.
-- Errors: as backtest.run; TT002 unknown sweep.
create or replace function backtest.run_point(p_sweep_id bigint, p_point jsonb)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_sweep backtest.sweeps;
    v_run_id bigint;
begin
    select * into v_sweep from backtest.sweeps s where s.sweep_id = p_sweep_id;
    if not found then
        raise exception 'sweep % does not exist: see backtest.sweeps', p_sweep_id using errcode = 'TT002';
    end if;
    perform pg_advisory_xact_lock(hashtextextended(format('backtest.run_point %s %s', p_sweep_id, p_point), 0));
    select r.run_id into v_run_id from backtest.runs r where r.sweep_id = p_sweep_id and r.changes = p_point;
    if not found then
        select n.run_id into v_run_id
        from backtest.run(v_sweep.strategy, v_sweep.parameters || p_point, v_sweep.from_ts, v_sweep.to_ts, v_sweep.costs) n;
        update backtest.runs r set sweep_id = p_sweep_id, changes = p_point where r.run_id = v_run_id;
    end if;
    return v_run_id;
end
$$;
comment on function backtest.run_point(bigint, jsonb) is 'Runs one point of a sweep; returns its run_id.';
grant execute on function backtest.run_point(bigint, jsonb) to tsdb_quant;
