-- Locks a point of a sweep until the end of the transaction and returns the run it has, null where it was not run
-- yet: for callers that work a while before they call backtest.run_point in that transaction.
-- Errors: TT001 a point that is none of the grid, TT002 unknown sweep.
create or replace function backtest.claim_point(p_sweep_id bigint, p_point jsonb)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_point constant jsonb := backtest._find_point(p_sweep_id, p_point);
begin
    return (select r.run_id from backtest.runs r
            where r.sweep_id = p_sweep_id and md5(r.changes::text) = md5(v_point::text));
end
$$;
comment on function backtest.claim_point(bigint, jsonb) is
    'Locks a point of a sweep until the end of the transaction; returns its run, if it has one.';
grant execute on function backtest.claim_point(bigint, jsonb) to tsdb_quant;
