-- The point of a sweep's grid that is equal to p_point, as the grid writes it (2.0 is 2), locked until the end of
-- the transaction: whoever else wants to run it waits, and then finds it done.
-- Errors: TT001 a point that is none of the grid, TT002 unknown sweep.
create or replace function backtest._find_point(p_sweep_id bigint, p_point jsonb)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_grid jsonb;
    v_point jsonb;
begin
    select s.grid into v_grid from backtest.sweeps s where s.sweep_id = p_sweep_id;
    if not found then
        raise exception 'sweep % does not exist: see backtest.sweeps', coalesce(p_sweep_id::text, 'null') using errcode = 'TT002';
    end if;
    select jsonb_object_agg(g.key, v.value) into v_point
    from jsonb_each(v_grid) g
    cross join lateral jsonb_array_elements(g.value) v (value)
    where v.value = p_point->g.key;
    if v_point is distinct from p_point or (select count(*) from jsonb_object_keys(v_grid)) <> (
        select count(*) from jsonb_object_keys(v_point))
    then
        raise exception 'sweep % has no point %: its grid is %', p_sweep_id, coalesce(p_point::text, 'null'), v_grid
            using errcode = 'TT001';
    end if;
    perform pg_advisory_xact_lock(hashtextextended(format('backtest.run_point %s %s', p_sweep_id, v_point), 0));
    return v_point;
end
$$;
comment on function backtest._find_point(bigint, jsonb) is 'A point of a sweep, locked until the end of the transaction.';
