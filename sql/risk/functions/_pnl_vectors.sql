-- What the positions of a session would have earned on each day of the history that counts at p_as_of, by
-- account and strategy, and by account (strategy_id null), oldest first. pnl is null where something needed is
-- missing, reason says what. factors: the P&L's loadings on the factors of the set, which explain pnl but for
-- a rest that is not correlated with them; null where the set has none yet.
create or replace function risk._pnl_vectors(p_session_id uuid, p_account text, p_as_of timestamptz)
returns table (
    account text, strategy_id integer, positions integer, pnl double precision[], factors double precision[],
    observations integer, watermark timestamptz, marked_at timestamptz, reason text)
language plpgsql
stable
as $$
#variable_conflict use_column
begin
    return query
        with sets as materialized (
            select a.account, s.set_id, cardinality(s.dates) as days, s.watermark, s.factored_at
            from ref.accounts a
            cross join lateral risk._return_set(p_as_of, a.currency) s
            where p_account is null or a.account = p_account),
        held as materialized (
            select h.account, h.strategy_id, h.instrument_id, h.position_value, h.marked_at, w.packed, w.loadings,
                coalesce(h.problem, risk._history_problem(s.set_id, i.symbol, w)) as problem,
                coalesce(nullif(sum(abs(h.position_value)) over (partition by h.account), 0), 1) as gross
            from risk._holdings(p_session_id, p_account, p_as_of) h
            join ref.instruments i using (instrument_id)
            left join sets s on s.account = h.account
            left join risk._windows w on w.set_id = s.set_id and w.instrument_id = h.instrument_id),
        summed as (
            -- Positions as whole numbers: parts of all that the account holds.
            select h.account, h.strategy_id, count(distinct h.instrument_id)::integer as positions,
                sum(h.packed * round((h.position_value / h.gross * 1e12)::numeric)) as packed,
                min(h.gross) as gross, max(h.marked_at) as marked_at, string_agg(distinct h.problem, '; ') as problem
            from held h
            group by grouping sets ((h.account), (h.account, h.strategy_id))),
        loaded as (
            select l.account, l.strategy_id, array_agg(l.loading order by l.k) as factors
            from (
                select h.account, h.strategy_id, u.k, sum(h.position_value * u.loading) as loading
                from held h
                cross join lateral unnest(h.loadings) with ordinality as u (loading, k)
                group by grouping sets ((h.account, u.k), (h.account, h.strategy_id, u.k))) l
            group by l.account, l.strategy_id)
        select s.account, s.strategy_id, s.positions,
            case when s.problem is null then risk._unpack(s.packed, e.days, s.gross / 1e12) end,
            case when s.problem is null and e.factored_at is not null then l.factors end,
            e.days, e.watermark, s.marked_at, s.problem
        from summed s
        left join sets e on e.account = s.account
        left join loaded l on l.account = s.account and l.strategy_id is not distinct from s.strategy_id;
end
$$;
comment on function risk._pnl_vectors(uuid, text, timestamptz) is
    'What the positions of a session would have earned on each day of history.';
