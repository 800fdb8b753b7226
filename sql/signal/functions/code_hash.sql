-- Which step function is installed: a hash of its source, for the code version of calibrations and
-- backtest runs.
create or replace function signal.code_hash()
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select md5(p.prosrc) from pg_proc p
    where p.oid = 'signal.step_pairs(signal.pairs_state, signal.pairs_input, signal.pairs_parameters)'::regprocedure
$$;
comment on function signal.code_hash() is 'Hash of the installed pairs step function.';
grant execute on function signal.code_hash() to tsdb_reader;
