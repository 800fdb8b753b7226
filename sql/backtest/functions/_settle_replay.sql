-- What becomes of recomputed decisions of a session: those of portfolios go through their step, batch
-- by batch. A refusal for a leg's status is taken from what was recorded: the status has no history.
-- Rows without an event carry the state of a portfolio after a batch.
create or replace function backtest._settle_replay(p_session_id uuid, p_decisions backtest.decision_at[])
returns table (batch_no bigint, as_of timestamptz, decision signal.decision, portfolio signal.portfolio_state)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_batch record;
    v_portfolio signal.portfolios;
    v_state signal.portfolio_state;
    v_of integer := 0;
begin
    for v_batch in
        select d.batch_no, d.as_of, (d.decision).strategy_id,
               array_agg(row((d.decision).strategy_id, (d.decision).instance_id, (d.decision).event,
                             (d.decision).target, (d.decision).spread, (d.decision).z_score,
                             (d.decision).instruments, (d.decision).quantities,
                             g.refusal is null, g.refusal)::signal.decision
                   order by (d.decision).instance_id) as decisions
        from unnest(p_decisions) d
        left join lateral (
            select min(g.refusal) as refusal from signal.signals g
            where g.session_id = p_session_id and g.as_of = d.as_of and g.batch_no = d.batch_no
                and g.pair_id = (d.decision).instance_id and g.refusal like 'status: %') g on true
        group by d.batch_no, d.as_of, (d.decision).strategy_id
        order by (d.decision).strategy_id, d.batch_no
    loop
        if v_of <> v_batch.strategy_id then
            v_of := v_batch.strategy_id;
            v_state := null;
            select f.* into v_portfolio from signal.portfolios f
            where f.session_id = p_session_id and f.strategy_id = v_of;
        end if;
        if v_portfolio.session_id is null then
            return query select v_batch.batch_no, v_batch.as_of, d, null::signal.portfolio_state
                from unnest(v_batch.decisions) d;
            continue;
        end if;
        v_state := signal.step_portfolio(
            v_state,
            signal._portfolio_input(v_portfolio, v_batch.batch_no, v_batch.as_of, v_batch.decisions),
            v_portfolio.parameters);
        return query
            select v_batch.batch_no, v_batch.as_of,
                   row(d.strategy_id, d.instance_id, d.event, d.target, d.spread, d.z_score, d.instruments,
                       d.quantities, false, r.reason)::signal.decision,
                   null::signal.portfolio_state
            from unnest(v_batch.decisions) d
            left join unnest(v_state.refused, v_state.reasons) r (instance_id, reason) using (instance_id)
            union all
            select v_batch.batch_no, v_batch.as_of,
                   row(v_of, null, 'rebalance', null, null, null, v_state.changed, v_state.changed_quantities,
                       true, null)::signal.decision, null
            where cardinality(v_state.changed) > 0
            union all
            select v_batch.batch_no, v_batch.as_of,
                   row(v_of, null, null, null, null, null, null, null, null, null)::signal.decision, v_state;
    end loop;
end
$$;
comment on function backtest._settle_replay(uuid, backtest.decision_at[]) is
    'What becomes of recomputed decisions of a session: portfolios and blocked legs.';
