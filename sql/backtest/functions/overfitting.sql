-- The probability of backtest overfitting of a sweep, by combinatorially symmetric cross-validation: Bailey,
-- Borwein, Lopez de Prado and Zhu, "The probability of backtest overfitting", Journal of Computational
-- Finance 20 (2016), section 2. The periods' returns of all runs are cut into p_blocks blocks; for each choice
-- of half of them the run with the best Sharpe ratio there is ranked by its Sharpe ratio in the other half.
--
-- pbo            share of choices in which that rank is in the lower half (logit <= 0);
-- median_logit   of ln(w / (1 - w)), w = rank / (trials + 1), ranks of equals averaged;
-- loss_share     share of choices in which the run chosen loses in the other half.
-- A Sharpe ratio without variation counts as 0. Runs must be of the same periods.
-- Errors: TT001 fewer than two runs, p_blocks odd, below 2 or above 16, fewer than two periods a block, or runs
-- of different periods; TT002 unknown sweep.
create or replace function backtest.overfitting(p_sweep_id bigint, p_blocks integer default 16)
returns table (
    trials integer, periods integer, choices integer, pbo double precision, median_logit double precision,
    loss_share double precision
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set work_mem = '128MB'
as $$
declare
    v_runs constant bigint[] := array(select r.run_id from backtest.runs r where r.sweep_id = p_sweep_id order by r.changes);
    v_counts integer[];
begin
    if not exists (select from backtest.sweeps s where s.sweep_id = p_sweep_id) then
        raise exception 'sweep % does not exist: see backtest.sweeps', coalesce(p_sweep_id::text, 'null') using errcode = 'TT002';
    elsif (p_blocks between 2 and 16 and p_blocks % 2 = 0) is not true then
        raise exception 'p_blocks must be an even number from 2 to 16' using errcode = 'TT001';
    end if;
    select array_agg(distinct c.periods) into v_counts
    from (
        select (select count(*)::integer from backtest._returns(u.run_id)) as periods from unnest(v_runs) u (run_id)) c;
    if coalesce(cardinality(v_runs), 0) < 2 or cardinality(v_counts) <> 1 or v_counts[1] < 2 * p_blocks then
        raise exception 'overfitting needs two runs of the same periods, two periods a block: sweep % has % runs of % periods',
            p_sweep_id, coalesce(cardinality(v_runs), 0), coalesce(v_counts::text, '{}') using errcode = 'TT001';
    end if;
    return query
    with blocks as materialized (
        select x.trial, x.block, count(*) as n, sum(x.change order by x.period) as total,
               sum(x.change * x.change order by x.period) as squares
        from (
            select u.trial, r.period, r.change,
                   ntile(p_blocks) over (partition by u.trial order by r.period) - 1 as block
            from unnest(v_runs) with ordinality u (run_id, trial)
            cross join lateral backtest._returns(u.run_id) r) x
        group by x.trial, x.block
    ),
    halves as (
        select m.mask from generate_series(0, (1 << p_blocks) - 1) m (mask)
        where length(replace(m.mask::bit(16)::text, '0', '')) = p_blocks / 2
    ),
    ratios as (
        select h.mask, b.trial,
               coalesce(sum(b.total order by b.block) / sum(b.n) / nullif(sqrt(greatest(
                   (sum(b.squares order by b.block) - sum(b.total order by b.block) ^ 2 / sum(b.n)) / (sum(b.n) - 1), 0)), 0),
                   0)::float8 as sharpe,
               sum(b.total order by b.block) as gained
        from halves h
        join blocks b on (h.mask >> b.block) & 1 = 1
        group by h.mask, b.trial
    ),
    -- The other half of a choice is a choice as well, so each is ranked once.
    placed as materialized (
        select r.mask, r.trial, r.gained,
               row_number() over (partition by r.mask order by r.sharpe desc, r.trial) as place,
               (rank() over (partition by r.mask order by r.sharpe)
                   + (count(*) over (partition by r.mask, r.sharpe) - 1) / 2.0)::float8
                   / (cardinality(v_runs) + 1) as share
        from ratios r
    ),
    ranked as (
        select o.gained, o.share
        from placed c
        join placed o on o.mask = (1 << p_blocks) - 1 - c.mask and o.trial = c.trial
        where c.place = 1
    )
    select cardinality(v_runs), v_counts[1], count(*)::integer,
           avg((r.share <= 0.5)::integer)::float8,
           percentile_cont(0.5) within group (order by ln(r.share / (1 - r.share))),
           avg((r.gained < 0)::integer)::float8
    from ranked r;
end
$$;
comment on function backtest.overfitting(bigint, integer) is
    'The probability of backtest overfitting of a sweep, by cross-validation over all choices of half of its time (Bailey et al. 2016).';
grant execute on function backtest.overfitting(bigint, integer) to tsdb_reader;
