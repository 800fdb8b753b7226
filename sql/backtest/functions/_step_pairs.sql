-- Steps every pair of a run over its prices, within its validity, and returns the states that have an
-- event, or with p_all every state. moment: index of the step's time. digest: of the whole state, in binary
-- form, with p_all only. Errors: TT004 signal.step_pairs was replaced without signal._unfold_pairs.
create or replace function backtest._step_pairs(
    p_run jsonb, p_times timestamptz[], p_series backtest.price_series[], p_from timestamptz, p_all boolean
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
begin
    -- Somebody replaced the step without its file: then what was written from it is of another one.
    if not exists (
        select from pg_proc s join pg_proc f on position('signal.step_pairs ' || md5(s.prosrc) in f.prosrc) > 0
        where s.oid = 'signal.step_pairs'::regproc and f.oid = 'signal._fold_pairs'::regproc)
    then
        raise exception 'signal.step_pairs was replaced: select signal._unfold_pairs()' using errcode = 'TT004';
    end if;
    return query
    with pairs as materialized (
        select n.instance_id, n.instruments, n.first, n.last,
               signal.read_parameters(p.parameters, p_run->'changes') as parameters
        from backtest._spans(p_run, p_times, p_from) n
        join signal.pairs p on p.pair_id = n.instance_id
    ),
    prices as materialized (
        select s.instrument_id, s.mids from unnest(p_series) s
    )
    select p.instance_id, p.first - 1 + f.moment, (f.state).as_of, (f.state).event, (f.state).target,
           (f.state).spread, (f.state).z_score, p.instruments,
           array[(f.state).quantity_a, (f.state).quantity_b],
           case when p_all then md5(record_send(f.state)) end
    from pairs p
    join prices a on a.instrument_id = p.instruments[1]
    join prices b on b.instrument_id = p.instruments[2]
    cross join lateral signal._fold_pairs(
        p_times[p.first:p.last], a.mids[p.first:p.last], b.mids[p.first:p.last], p.parameters, p_all) f;
end
$$;
comment on function backtest._step_pairs(jsonb, timestamptz[], backtest.price_series[], timestamptz, boolean) is
    'States of a run''s pairs.';
