-- Steps every pair of a run over its prices, within its validity, and returns the states that have an
-- event, or with p_all every state. moment: index of the step's time. digest: of the whole state, in binary
-- form, with p_all only. Where the one query raises, pair by pair. Errors: TT004 signal.step_pairs was replaced
-- without signal._unfold_pairs; with p_all what a step raised, with its pair and time.
create or replace function backtest._step_pairs(
    p_run jsonb, p_times timestamptz[], p_series backtest.price_series[], p_from timestamptz, p_all boolean
)
returns setof backtest.run_state
language plpgsql
stable
rows 20000
set search_path = pg_catalog, pg_temp
as $$
declare
    v_states backtest.run_state[];
    v_pair record;
begin
    -- Somebody replaced the step without its file: then what was written from it is of another one.
    if not exists (
        select from pg_proc s join pg_proc f on position('signal.step_pairs ' || md5(s.prosrc) in f.prosrc) > 0
        where s.oid = 'signal.step_pairs'::regproc and f.oid = 'signal._fold_pairs'::regproc)
    then
        raise exception 'signal.step_pairs was replaced: select signal._unfold_pairs()' using errcode = 'TT004';
    end if;
    begin
        if p_all then
            return query select * from backtest._fold_run(p_run, p_times, p_series, p_from, true);
        else
            v_states := array(select f from backtest._fold_run(p_run, p_times, p_series, p_from, false) f);
            return query select * from unnest(v_states);
        end if;
        return;
    exception when others or assert_failure then
        if signal._is_transient(sqlstate) then
            raise;
        end if;
    end;
    for v_pair in
        select n.instance_id, n.instruments, array_agg(n.first - 1 + u.n::integer order by u.n) as moments,
               array_agg(row(u.as_of, array[u.mid_a, u.mid_b], null)::signal.step_input order by u.n) as inputs
        from backtest._spans(p_run, p_times, p_from) n
        join unnest(p_series) a on a.instrument_id = n.instruments[1]
        join unnest(p_series) b on b.instrument_id = n.instruments[2]
        cross join lateral unnest(p_times[n.first:n.last], a.mids[n.first:n.last], b.mids[n.first:n.last])
            with ordinality u (as_of, mid_a, mid_b, n)
        group by n.instance_id, n.instruments
        order by n.instance_id
    loop
        v_states := array(
            select s from backtest._isolate_steps($query$
                select row($1, $3[f.moment], (f.state).as_of, (f.state).event, (f.state).target, (f.state).spread,
                           (f.state).z_score, $2, array[(f.state).quantity_a, (f.state).quantity_b], null, null,
                           null)::backtest.run_state as found
                from signal.pairs p
                cross join lateral (
                    select array_agg(u.as_of order by u.n) as times, array_agg(u.mids[1] order by u.n) as mids_a,
                           array_agg(u.mids[2] order by u.n) as mids_b
                    from unnest($4) with ordinality u (as_of, mids, features, n)) i
                cross join lateral signal._fold_pairs(
                    i.times, i.mids_a, i.mids_b, signal.read_parameters(p.parameters, $5), false) f
                where p.pair_id = $1
                $query$, v_pair.instance_id, v_pair.instruments, v_pair.moments, v_pair.inputs, p_run->'changes') s);
        if p_all then
            perform backtest._raise_problem(p_run, v_states);
        else
            return query select * from unnest(v_states);
        end if;
    end loop;
end
$$;
comment on function backtest._step_pairs(jsonb, timestamptz[], backtest.price_series[], timestamptz, boolean) is
    'States of a run''s pairs.';
