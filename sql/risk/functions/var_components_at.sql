-- The parts of the parametric value at risk of what a session holds (risk.var_at), per instrument: marginal per
-- unit of account currency, component (they add up to the whole's), incremental (the whole's less that without the
-- instrument, by full revaluation); and their share of the whole. Null with the reason where anything that the whole
-- needs is missing. Errors: TT001, TT002 as risk.var_at.
create or replace function risk.var_components_at(
    p_session_id uuid,
    p_as_of timestamptz,
    p_confidence double precision default null,
    p_account text default null
) returns table (
    account text, strategy_id integer, instrument_id integer, symbol text, position_value double precision,
    confidence double precision, var double precision, marginal double precision, component double precision,
    incremental double precision, as_of timestamptz, watermark timestamptz, reason text)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_confidence constant double precision := coalesce(p_confidence, (risk._var_settings()).confidence);
    v_quantile double precision;
begin
    perform risk._require_share(v_confidence, 'p_confidence');
    if p_as_of is null then
        raise exception 'value at risk is asked as of a time' using errcode = 'TT001';
    elsif not exists (select from ops.sessions s where s.session_id = p_session_id) then
        raise exception 'unknown session %', coalesce(p_session_id::text, 'null') using errcode = 'TT002';
    end if;
    v_quantile := risk._normal_quantile(v_confidence);
    return query
    with whole as materialized (
        select v.*, d.deviation
        from risk._pnl_vectors(p_session_id, p_account, p_as_of) v
        left join lateral (select sqrt(avg(p * p)) as deviation from unnest(v.pnl) p) d on v.pnl is not null),
    held as materialized (
        select h.account, h.strategy_id, h.instrument_id, case when bool_and(h.position_value is not null) then sum(h.position_value) end as position_value
        from risk._holdings(p_session_id, p_account, p_as_of) h
        group by grouping sets ((h.account, h.instrument_id), (h.account, h.strategy_id, h.instrument_id)))
    select w.account, w.strategy_id, h.instrument_id, i.symbol, h.position_value, v_confidence, v_quantile * w.deviation,
        case when w.deviation = 0 then 0 else v_quantile * e.exposure / w.deviation end,
        case when w.deviation = 0 then 0 else v_quantile * h.position_value * e.exposure / w.deviation end,
        v_quantile * (w.deviation - sqrt(greatest(0,
            w.deviation ^ 2 - 2 * h.position_value * e.exposure + h.position_value ^ 2 * e.variance))),
        p_as_of, w.watermark, w.reason
    from whole w
    join held h on h.account = w.account and h.strategy_id is not distinct from w.strategy_id
    join ref.instruments i using (instrument_id)
    join ref.accounts a on a.account = w.account
    left join risk._windows n
        on n.set_id = (risk._return_set(p_as_of, a.currency)).set_id and n.instrument_id = h.instrument_id
    left join lateral (
        -- Covariance with the whole, and the instrument's own variance, of mean zero.
        select avg(u.r * u.p) as exposure, avg(u.r * u.r) as variance
        from (select unnest(n.returns) as r, unnest(w.pnl) as p) u) e on w.pnl is not null
    order by w.account, w.strategy_id nulls first, i.symbol;
end
$$;
comment on function risk.var_components_at(uuid, timestamptz, double precision, text) is
    'Marginal, component and incremental value at risk of each instrument that a session holds; components add up. Errors: TT001, TT002.';
grant execute on function risk.var_components_at(uuid, timestamptz, double precision, text)
    to tsdb_reader;
