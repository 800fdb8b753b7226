-- Two runs beside each other, a row per measure: the figures of their summaries, how many signals (instance,
-- time, event, quantities) one has and the other lacks, the correlation of their returns by day, and, as
-- detail, every parameter in which they differ. data_differs is a row where they read different data, with what
-- of their watermarks differs; where it is missing, they read the same. failed_instances is a row where instances
-- failed in one, with which they were. Errors: TT002 unknown run.
create or replace function backtest.compare(p_run_a bigint, p_run_b bigint)
returns table (
    measure text, a double precision, b double precision, difference double precision, detail jsonb
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_wrong bigint;
    v_a jsonb;
    v_b jsonb;
    v_sized boolean;
begin
    select u.id into v_wrong from unnest(array[p_run_a, p_run_b]) with ordinality u (id, n)
    where not exists (select from backtest.runs r where r.run_id = u.id) order by u.n limit 1;
    if found then
        raise exception 'run % does not exist: see backtest.runs', coalesce(v_wrong::text, 'null') using errcode = 'TT002';
    end if;
    select to_jsonb(r) into v_a from backtest.runs r where r.run_id = p_run_a;
    select to_jsonb(r) into v_b from backtest.runs r where r.run_id = p_run_b;
    -- Runs of before signals had quantities are compared without them.
    v_sized := not exists (
        select from backtest.signals s where s.run_id in (p_run_a, p_run_b) and s.quantities is null);
    return query
    with mine as materialized (
        select s.pair_id, s.as_of, s.event, case when v_sized then s.quantities end from backtest.signals s where s.run_id = p_run_a
    ),
    theirs as materialized (
        select s.pair_id, s.as_of, s.event, case when v_sized then s.quantities end from backtest.signals s where s.run_id = p_run_b
    ),
    signals as (
        select (select count(*) from (select * from mine except all select * from theirs) x) as only_a,
               (select count(*) from (select * from theirs except all select * from mine) y) as only_b
    ),
    rows as (
        select u.place, u.measure, (v_a->>u.measure)::float8 as a, (v_b->>u.measure)::float8 as b, null::jsonb as detail
        from unnest(array['trades', 'total_return', 'sharpe', 'max_drawdown', 'turnover', 'cost_amount', 'elapsed_ms'])
            with ordinality u (measure, place)
        union all
        select 20, 'signals_alone', g.only_a, g.only_b, null from signals g
        union all
        select 20, 'failed_instances', f.a, f.b, jsonb_build_array(f.ids_a, f.ids_b)
        from (
            select count(*) filter (where e.run_id = p_run_a) as a, count(*) filter (where e.run_id = p_run_b) as b,
                   array_agg(e.instance_id order by e.instance_id) filter (where e.run_id = p_run_a) as ids_a,
                   array_agg(e.instance_id order by e.instance_id) filter (where e.run_id = p_run_b) as ids_b
            from backtest.run_errors e where e.run_id in (p_run_a, p_run_b)) f
        where f.a + f.b > 0
        union all
        select 21, 'correlation', c.corr, c.corr, jsonb_build_object('periods', c.periods)
        from (
            select corr(x.change, y.change) as corr, count(*) as periods
            from backtest._returns(p_run_a) x join backtest._returns(p_run_b) y using (period)) c
        union all
        select 22, 'data_differs', null, null, d.detail
        from (
            select jsonb_object_agg(k.key, jsonb_build_array(k.x, k.y)) as detail
            from (
                select key, x.value as x, y.value as y
                from backtest._watermark_parts(v_a) x full join backtest._watermark_parts(v_b) y using (key)) k
            where k.x is distinct from k.y) d
        where d.detail is not null
        union all
        select 23, 'parameter ' || k.key, null, null, jsonb_build_array(k.x, k.y)
        from (
            select key, x.value as x, y.value as y
            from jsonb_each(backtest._flat_parameters(v_a)) x full join jsonb_each(backtest._flat_parameters(v_b)) y using (key)) k
        where k.x is distinct from k.y
    )
    select r.measure, r.a, r.b, r.b - r.a, r.detail from rows r order by r.place, r.measure;
end
$$;
comment on function backtest.compare(bigint, bigint) is 'Two runs beside each other: figures, signals, returns, parameters.';
grant execute on function backtest.compare(bigint, bigint) to tsdb_reader;
