-- Notes a sweep, for backtest.run_point to run, and returns its id. p_grid: an object with a list of values per
-- parameter of backtest.run ({"entry": [1.5, 2], "stop": [4, 6]}); every combination is a point, at most
-- 10,000. Nothing is run. Errors: TT001 a grid that cannot be, an unknown parameter or a window that ends before
-- it begins; TT002 unknown strategy or cost model.
create or replace function backtest.open_sweep(
    p_strategy text,
    p_parameters jsonb,
    p_grid jsonb,
    p_from timestamptz,
    p_to timestamptz,
    p_costs text default 'realistic'
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_wrong text;
    v_points numeric;
    v_sweep_id bigint;
begin
    perform backtest._check_strategy(p_strategy);
    if jsonb_typeof(p_parameters) is distinct from 'object' or jsonb_typeof(p_grid) is distinct from 'object' or p_grid = '{}' then
        raise exception 'a sweep needs an object of parameters and a grid {"parameter": [values], ...}' using errcode = 'TT001';
    end if;
    select g.key into v_wrong from jsonb_each(p_grid) g
    where case when jsonb_typeof(g.value) = 'array' then jsonb_array_length(g.value) = 0 else true end order by 1 limit 1;
    if v_wrong is not null then
        raise exception 'the grid''s "%" must be a list of values', v_wrong using errcode = 'TT001';
    end if;
    select g.key || '" has ' || min(v.value::text) into v_wrong
    from jsonb_each(p_grid) g cross join lateral jsonb_array_elements(g.value) v (value)
    group by g.key, v.value having count(*) > 1 order by 1 limit 1;
    if v_wrong is not null then
        raise exception 'the grid''s "% more than once', v_wrong using errcode = 'TT001';
    end if;
    perform backtest._check_names(p_strategy, p_parameters || p_grid);
    if p_from >= p_to then
        raise exception 'p_from must be before p_to' using errcode = 'TT001';
    end if;
    perform backtest._read_costs(p_costs, '{}');
    select market._product(jsonb_array_length(g.value)) into v_points from jsonb_each(p_grid) g;
    if v_points > 10000 then
        raise exception 'the grid has % points, more than 10000', v_points using errcode = 'TT001';
    end if;
    insert into backtest.sweeps (strategy, parameters, grid, from_ts, to_ts, costs, run_by)
    values (p_strategy, p_parameters, p_grid, p_from, p_to, p_costs, session_user)
    returning sweep_id into v_sweep_id;
    return v_sweep_id;
end
$$;
comment on function backtest.open_sweep(text, jsonb, jsonb, timestamptz, timestamptz, text) is
    'Notes a grid of parameters to run; returns its id.';
grant execute on function backtest.open_sweep(text, jsonb, jsonb, timestamptz, timestamptz, text) to tsdb_quant;
