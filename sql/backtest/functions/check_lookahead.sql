-- Looks for decisions that use data from after their time: one row per instance, or instrument of the
-- strategy's features, with its first violation; none when clean.
--
-- For several cut times, some of them right at decisions, some between steps, everything that became known
-- after the cut is really deleted (each table of backtest.data_sources, by its known_at), the strategy is
-- run again, and every state and every feature row up to the cut must be the same to the last bit. It is all
-- rolled back. What the strategy reads must be in backtest.data_sources, whose owner adds tables of one's own.
--
-- kind       state: a decision's state differs; feature: a row of the inputs function differs, is missing or
--            was not there before; error: the strategy fails without the later data.
-- as_of      the first state or feature that differs, known_at the cut: a decision at as_of used something
--            that was not known at known_at, at or after as_of.
-- p_parameters as of backtest.run; p_cuts how many steps are looked at, two cuts each.
-- Deletes lock what they delete until the end of the statement: for large data take a copy. Minute bars of
-- the Community edition's continuous aggregates are not taken away. Errors: as backtest.run.
create or replace function backtest.check_lookahead(
    p_strategy text,
    p_from timestamptz,
    p_to timestamptz,
    p_parameters jsonb default '{}',
    p_cuts integer default 4
)
returns table (kind text, instance_id bigint, instrument_id integer, as_of timestamptz, known_at timestamptz)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set jit = off -- To compile its plans takes longer than to run them.
as $$
declare
    v_run jsonb;
    v_all backtest.state_mark[];
    v_cuts timestamptz[];
    v_cut timestamptz;
    v_found jsonb := '[]';
begin
    perform backtest._check_strategy(p_strategy);
    if (p_cuts between 1 and 100) is not true then
        raise exception 'p_cuts must be from 1 to 100' using errcode = 'TT001';
    end if;
    v_run := backtest._read_run(p_strategy, p_parameters, p_from, p_to);
    v_all := backtest._mark_states(v_run, p_from, p_to);
    if not exists (select from unnest(v_all) m where m.kind = 'state') then
        raise exception 'no prices of the instruments from % to % in source %', p_from, p_to, v_run->>'source'
            using errcode = 'TT001';
    end if;
    -- At steps spread over the window, halfway to the step before, and at feature rows near them.
    with steps as (
        select t.as_of, lag(t.as_of) over w as before, ntile(p_cuts) over w as part
        from (select distinct m.as_of from unnest(v_all) m where m.kind = 'state') t
        window w as (order by t.as_of)
    ),
    chosen as (
        select max(s.as_of) filter (where s.as_of < e.last) as as_of, max(s.before) as before
        from steps s cross join (select max(x.as_of) as last from steps x) e group by s.part
    )
    select array_agg(distinct c.cut order by c.cut) into v_cuts
    from (
        select n.as_of as cut from chosen n
        union all
        select n.before + (n.as_of - n.before) / 2 from chosen n
        union all
        select (select max(m.as_of) from unnest(v_all) m where m.kind = 'feature' and m.as_of < n.as_of) from chosen n) c
    where c.cut is not null;

    foreach v_cut in array coalesce(v_cuts, '{}') loop
        v_found := v_found || (
            select coalesce(jsonb_agg(to_jsonb(d)), '[]')
            from (
                select distinct on (x.kind, x.id) x.kind, x.id, x.as_of, v_cut as cut
                from (
                    select coalesce(a.kind, b.kind) as kind, coalesce(a.id, b.id) as id, coalesce(a.as_of, b.as_of) as as_of
                    from (select * from unnest(v_all) m where m.as_of <= v_cut) a
                    full join (
                        select * from unnest(backtest._mark_states_at(v_run, p_from, p_to, v_cut)) m
                        where m.as_of <= v_cut) b
                        on b.kind = a.kind and b.id = a.id and b.as_of = a.as_of
                    where a.digest is distinct from b.digest) x
                order by x.kind, x.id, x.as_of) d);
    end loop;
    return query
    select distinct on (f.kind, f.id) f.kind, case when f.kind = 'state' then f.id end,
           case when f.kind = 'feature' then f.id::integer end, f.as_of, f.cut
    from jsonb_to_recordset(v_found) f (kind text, id bigint, as_of timestamptz, cut timestamptz)
    -- An error leaves no state to compare: it is the violation.
    where f.kind = 'error' or not exists (
        select from jsonb_to_recordset(v_found) e (kind text, cut timestamptz)
        where e.kind = 'error' and e.cut = f.cut)
    order by f.kind, f.id, f.as_of, f.cut;
end
$$;
comment on function backtest.check_lookahead(text, timestamptz, timestamptz, jsonb, integer) is
    'Decisions of a strategy that use data from after their time, found by taking that data away; no rows when there is none.';
grant execute on function backtest.check_lookahead(text, timestamptz, timestamptz, jsonb, integer) to tsdb_quant;
