-- Puts the decisions of a portfolio's instances through its step: what was refused is marked, none of
-- them is traded by itself, and the rebalance that is comes as a decision of its own. Keeps the state.
create or replace function signal._apply_portfolio(
    p_batch market.batches,
    p_portfolio signal.portfolios,
    p_decisions signal.decision[]
)
returns signal.decision[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_state signal.portfolio_state;
    v_decisions signal.decision[];
begin
    select (s.state).* into v_state from signal.portfolio_states s
    where s.session_id = p_portfolio.session_id and s.strategy_id = p_portfolio.strategy_id;
    v_state := signal.step_portfolio(
        v_state,
        signal._portfolio_input(p_portfolio, p_batch.batch_no, p_batch.as_of, p_decisions),
        p_portfolio.parameters);
    insert into signal.portfolio_states (session_id, strategy_id, batch_no, state)
    values (p_portfolio.session_id, p_portfolio.strategy_id, p_batch.batch_no, v_state)
    on conflict (session_id, strategy_id) do update set batch_no = excluded.batch_no, state = excluded.state;

    select array_agg(row(d.strategy_id, d.instance_id, d.event, d.target, d.spread, d.z_score, d.instruments,
                         d.quantities, false, r.reason)::signal.decision order by d.instance_id)
    into v_decisions
    from unnest(p_decisions) d
    left join unnest(v_state.refused, v_state.reasons) r (instance_id, reason) using (instance_id);
    if cardinality(v_state.changed) > 0 then
        v_decisions := v_decisions || row(p_portfolio.strategy_id, null, 'rebalance', null, null, null,
            v_state.changed, v_state.changed_quantities, true, null)::signal.decision;
    end if;
    return v_decisions;
end
$$;
comment on function signal._apply_portfolio(market.batches, signal.portfolios, signal.decision[]) is
    'Puts the decisions of a portfolio''s instances through its step.';
