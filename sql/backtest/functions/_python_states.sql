-- The states of a run of a Python strategy: those with an event as the class decided them (decisions of the
-- run: arrays of instance, moment, event, quantities and score; without an event SQLSTATE and message of a
-- step that failed are in the place of the last two), or with p_all every input with its digest. A
-- step is given nothing else, so where inputs are the same to the last bit, so are the states.
-- Errors: TT001 a decision that cannot be.
create or replace function backtest._python_states(
    p_run jsonb, p_times timestamptz[], p_series backtest.price_series[], p_from timestamptz, p_to timestamptz,
    p_all boolean
)
returns setof backtest.run_state
language plpgsql
stable
rows 20000
set search_path = pg_catalog, pg_temp
as $$
declare
    v_wrong jsonb;
begin
    if p_all then
        return query
        select n.instance_id, n.moment, (n.input).as_of, null::text, null::smallint, null::float8, null::float8,
               n.instruments, null::bigint[], md5(record_send(n.input)), null::text, null::text
        from backtest._step_inputs(p_run, p_times, p_series, p_from, p_to) n;
        return;
    end if;
    select d.decision into v_wrong
    from jsonb_array_elements(p_run->'decisions') d (decision)
    left join backtest._spans(p_run, p_times, p_from) s
        on s.instance_id = (d.decision->>0)::bigint and (d.decision->>1)::integer between s.first and s.last
    where s.instance_id is null or case
        when d.decision->>2 is null
            then (d.decision->>3 ~ '^[0-9A-Z]{5}$' and jsonb_typeof(d.decision->4) = 'string') is not true
        else (d.decision->>2 ~ '^[a-z][a-z0-9_]{0,31}$' and d.decision->>2 <> 'rebalance') is not true
            or jsonb_typeof(d.decision->3) <> 'array'
            or jsonb_array_length(d.decision->3) <> cardinality(s.instruments) end
    limit 1;
    if v_wrong is not null then
        raise exception 'no instance of the run can decide %', v_wrong using errcode = 'TT001';
    end if;
    return query
    select s.instance_id, (d.decision->>1)::integer, p_times[(d.decision->>1)::integer], d.decision->>2,
           (select sign(u.quantity)::smallint from unnest(q.quantities) with ordinality u (quantity, leg)
            order by u.quantity = 0, u.leg limit 1),
           null::float8, case when d.decision->>2 is not null then (d.decision->>4)::float8 end, s.instruments,
           q.quantities, null::text, case when d.decision->>2 is null then d.decision->>3 end,
           case when d.decision->>2 is null then d.decision->>4 end
    from jsonb_array_elements(p_run->'decisions') d (decision)
    join backtest._spans(p_run, p_times, p_from) s on s.instance_id = (d.decision->>0)::bigint
    cross join lateral (
        select array_agg(u.quantity::bigint order by u.leg) as quantities
        from jsonb_array_elements_text(case when d.decision->>2 is not null then d.decision->3 else '[]' end)
            with ordinality u (quantity, leg)) q;
end
$$;
comment on function backtest._python_states(
    jsonb, timestamptz[], backtest.price_series[], timestamptz, timestamptz, boolean) is
    'States of a run of a Python strategy, as its class decided them.';
