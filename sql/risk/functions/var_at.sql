-- Value at risk of one day and expected shortfall of what a session holds, at its latest marks, by account and
-- strategy, and by account (strategy_id null), each by four methods over the same history (docs/var.md):
-- historical: the quantile of what these positions would have earned; parametric: normal, mean zero, the
-- covariance of all days alike; ewma: normal, covariance with the decay of the settings; monte_carlo: draws of the
-- principal components of the covariance and of what they leave. Where a mark or history is missing or too
-- old the figures are null, and reason says what. p_confidence null: that of the settings.
-- Errors: TT001 no time, a confidence of no use; TT002 unknown session.
create or replace function risk.var_at(
    p_session_id uuid,
    p_as_of timestamptz,
    p_confidence double precision default null,
    p_account text default null
) returns table (
    account text, strategy_id integer, method text, confidence double precision, horizon_days integer,
    var double precision, expected_shortfall double precision, positions integer, observations integer,
    as_of timestamptz, watermark timestamptz, reason text)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_settings constant risk.var_settings := risk._var_settings();
    v_confidence constant double precision := coalesce(p_confidence, v_settings.confidence);
    v_quantile double precision;
    v_shortfall double precision;
begin
    perform risk._require_share(v_confidence, 'p_confidence');
    if p_as_of is null then
        raise exception 'value at risk is asked as of a time' using errcode = 'TT001';
    elsif not exists (select from ops.sessions s where s.session_id = p_session_id) then
        raise exception 'unknown session %', coalesce(p_session_id::text, 'null') using errcode = 'TT002';
    end if;
    v_quantile := risk._normal_quantile(v_confidence);
    v_shortfall := risk._normal_shortfall(v_confidence);
    return query
        with vectors as materialized (
            select v.*, d.deviation
            from risk._pnl_vectors(p_session_id, p_account, p_as_of) v
            left join lateral (
                select sqrt(avg(p * p)) as deviation from unnest(v.pnl) p) d on v.pnl is not null),
        simulated as materialized (
            select v.account, v.strategy_id, risk._simulated_pnl(v.factors,
                sqrt(greatest(0, v.deviation ^ 2 - (select sum(f * f) from unnest(v.factors) f))), v_settings) as pnl
            from vectors v
            where v.factors is not null)
        select v.account, v.strategy_id, m.method, v_confidence, 1, m.var, m.expected_shortfall, v.positions,
            v.observations, p_as_of, v.watermark, coalesce(v.reason, m.reason)
        from vectors v
        left join simulated s on s.account = v.account and s.strategy_id is not distinct from v.strategy_id
        cross join lateral (
            select risk.ewma_volatility(v.pnl, v_settings.decay, v.deviation) as deviation
            where v.pnl is not null
            union all
            select null where v.pnl is null) e
        cross join lateral (values
            (1, 'historical', case when v.pnl is not null then risk.var_historical(v.pnl, v_confidence) end,
                case when v.pnl is not null then risk.expected_shortfall(v.pnl, v_confidence) end, null),
            (2, 'parametric', v_quantile * v.deviation, v_shortfall * v.deviation, null),
            (3, 'ewma', v_quantile * e.deviation, v_shortfall * e.deviation, null),
            (4, 'monte_carlo', case when s.pnl is not null then risk.var_historical(s.pnl, v_confidence) end,
                case when s.pnl is not null then risk.expected_shortfall(s.pnl, v_confidence) end,
                case when s.pnl is null then 'the history has no factors yet' end)
            ) as m (no, method, var, expected_shortfall, reason)
        order by v.account, v.strategy_id nulls first, m.no;
end
$$;
comment on function risk.var_at(uuid, timestamptz, double precision, text) is
    'Value at risk and expected shortfall of what a session holds, by account, strategy and method; null with a reason where anything needed is missing. Errors: TT001, TT002.';
grant execute on function risk.var_at(uuid, timestamptz, double precision, text)
    to tsdb_reader;
