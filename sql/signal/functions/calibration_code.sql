-- The hash of the step function that calibrated pairs are made for (signal.code_hash), for who calibrates.
create or replace function signal.calibration_code()
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select signal.code_hash()
$$;
comment on function signal.calibration_code() is
    'Hash of the installed pairs step function, for the code version of calibrations.';
grant execute on function signal.calibration_code() to tsdb_reader, tsdb_worker_scheduler;
