-- What a portfolio's step is given at a batch: the decisions of its instances, and every instrument
-- with its pinned sector and beta and its last mid as of the batch.
create or replace function signal._portfolio_input(
    p_portfolio signal.portfolios,
    p_batch_no bigint,
    p_as_of timestamptz,
    p_decisions signal.decision[]
)
returns signal.portfolio_input
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        select row(p_as_of, e.instance_ids, e.scores, e.blocked, l.leg_instances, l.leg_instruments, l.leg_quantities,
                   i.instruments, i.mids, i.sectors, i.betas)::signal.portfolio_input
        from (
            select array_agg(d.instance_id order by d.instance_id) as instance_ids,
                   array_agg(d.z_score order by d.instance_id) as scores,
                   array_agg(d.refusal order by d.instance_id) as blocked
            from unnest(p_decisions) d) e
        cross join (
            select array_agg(d.instance_id order by d.instance_id, u.leg) as leg_instances,
                   array_agg(u.instrument_id order by d.instance_id, u.leg) as leg_instruments,
                   array_agg(u.quantity order by d.instance_id, u.leg) as leg_quantities
            from unnest(p_decisions) d
            cross join lateral unnest(d.instruments, d.quantities) with ordinality u (instrument_id, quantity, leg)) l
        cross join (
            select array_agg(p.instrument_id order by p.instrument_id) as instruments,
                   array_agg(q.mid order by p.instrument_id) as mids,
                   array_agg(p.sector order by p.instrument_id) as sectors,
                   array_agg(p.beta order by p.instrument_id) as betas
            from signal.portfolio_instruments p
            left join signal._last_quotes(p_portfolio.session_id, array(
                    select x.instrument_id from signal.portfolio_instruments x
                    where x.session_id = p_portfolio.session_id and x.strategy_id = p_portfolio.strategy_id),
                p_batch_no, p_as_of) q using (instrument_id)
            where p.session_id = p_portfolio.session_id and p.strategy_id = p_portfolio.strategy_id) i);
end
$$;
comment on function signal._portfolio_input(signal.portfolios, bigint, timestamptz, signal.decision[]) is
    'What a portfolio''s step is given at a batch.';
