-- The states of a run of a Python strategy: those with an event as the class decided them (decisions of the
-- run: arrays of instance, moment, event, quantities and score), or with p_all every input with its digest. A
-- step is given nothing else, so where inputs are the same to the last bit, so are the states.
-- Errors: TT004 no decisions: the class is not in the database; TT001 one that cannot be.
create or replace function backtest._python_states(
    p_run jsonb, p_times timestamptz[], p_series backtest.price_series[], p_from timestamptz, p_to timestamptz,
    p_all boolean
)
returns table (
    instance_id bigint, moment integer, as_of timestamptz, event text, target smallint,
    spread double precision, z_score double precision, instruments integer[], quantities bigint[], digest text
)
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
               n.instruments, null::bigint[], md5(record_send(n.input))
        from backtest._step_inputs(p_run, p_times, p_series, p_from, p_to) n;
        return;
    elsif p_run->'decisions' is null then
        raise exception 'strategy "%" is in Python, which the database does not step: use tsdb-trader backtest run',
            p_run->>'strategy' using errcode = 'TT004';
    end if;
    select d.decision into v_wrong
    from jsonb_array_elements(p_run->'decisions') d (decision)
    left join backtest._spans(p_run, p_times, p_from) s
        on s.instance_id = (d.decision->>0)::bigint and (d.decision->>1)::integer between s.first and s.last
    where s.instance_id is null or (d.decision->>2 ~ '^[a-z][a-z0-9_]{0,31}$' and d.decision->>2 <> 'rebalance') is not true
        or jsonb_array_length(d.decision->3) <> cardinality(s.instruments)
    limit 1;
    if v_wrong is not null then
        raise exception 'no instance of the run can decide %', v_wrong using errcode = 'TT001';
    end if;
    return query
    select s.instance_id, (d.decision->>1)::integer, p_times[(d.decision->>1)::integer], d.decision->>2,
           (select sign(u.quantity)::smallint from unnest(q.quantities) with ordinality u (quantity, leg)
            order by u.quantity = 0, u.leg limit 1),
           null::float8, (d.decision->>4)::float8, s.instruments, q.quantities, null::text
    from jsonb_array_elements(p_run->'decisions') d (decision)
    join backtest._spans(p_run, p_times, p_from) s on s.instance_id = (d.decision->>0)::bigint
    cross join lateral (
        select array_agg(u.quantity::bigint order by u.leg) as quantities
        from jsonb_array_elements_text(d.decision->3) with ordinality u (quantity, leg)) q;
end
$$;
comment on function backtest._python_states(
    jsonb, timestamptz[], backtest.price_series[], timestamptz, timestamptz, boolean) is
    'States of a run of a Python strategy, as its class decided them.';
