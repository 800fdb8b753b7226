-- Records why a point of a sweep could not be run; the others go on. A point that was run keeps its run, and one that
-- is run later loses the record. Errors: TT001 a point that is none of the grid, TT002 unknown sweep.
create or replace function backtest.fail_point(p_sweep_id bigint, p_point jsonb, p_sql_state text, p_message text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if backtest.claim_point(p_sweep_id, p_point) is null then
        insert into backtest.sweep_failures as f (sweep_id, point, sql_state, message)
        values (p_sweep_id, backtest._find_point(p_sweep_id, p_point), p_sql_state, p_message)
        on conflict (sweep_id, md5(point::text)) do update
        set sql_state = excluded.sql_state, message = excluded.message, recorded_at = excluded.recorded_at;
    end if;
end
$$;
comment on function backtest.fail_point(bigint, jsonb, text, text) is 'Records why a point of a sweep could not be run.';
grant execute on function backtest.fail_point(bigint, jsonb, text, text) to tsdb_quant;
