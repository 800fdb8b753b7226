-- Records the forecasts of risk.var_at for the trading date of p_as_of, with the positions they are of, for
-- risk.var_backtest; returns how many rows of risk.var_history it wrote. The first that could be made on
-- a trading date counts: later calls write only what held nothing before, or could not be measured.
-- Errors: TT001 no time; TT002 unknown session.
create or replace function risk.record_var(p_session_id uuid, p_as_of timestamptz)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_date constant date := risk._trading_date(p_as_of, (risk._var_settings()).calendar);
    v_written integer;
begin
    perform ops._audit('risk.record_var', p_session_id::text, jsonb_build_object('as_of', p_as_of));
    -- Called at every mark, and there is seldom anything to do.
    if p_as_of is not null and exists (select from ops.sessions s where s.session_id = p_session_id) and not exists (
        select from risk._holdings(p_session_id, null, p_as_of) h
        where not exists (
            select from risk.var_history k
            where k.session_id = p_session_id and k.account = h.account and k.strategy_id = h.strategy_id
                and k.trading_date = v_date and k.method = 'parametric' and k.var is not null)) then
        return 0;
    end if;
    insert into risk.var_history as k (session_id, account, strategy_id, trading_date, method, confidence, var,
        expected_shortfall, positions, observations, as_of, watermark, reason)
    select p_session_id, v.account, v.strategy_id, v_date, v.method, v.confidence, v.var, v.expected_shortfall,
        v.positions, v.observations, v.as_of, v.watermark, v.reason
    from risk.var_at(p_session_id, p_as_of) v
    on conflict (session_id, account, strategy_id, trading_date, method, confidence) do update
    set var = excluded.var, expected_shortfall = excluded.expected_shortfall, positions = excluded.positions,
        observations = excluded.observations, as_of = excluded.as_of, watermark = excluded.watermark,
        reason = excluded.reason, recorded_at = clock_timestamp()
    where k.var is null and excluded.var is not null;
    get diagnostics v_written = row_count;
    insert into risk.var_portfolios (session_id, account, strategy_id, trading_date, instrument_ids, position_values, as_of)
    select p_session_id, h.account, h.strategy_id, v_date, array_agg(h.instrument_id order by h.instrument_id),
        array_agg(h.position_value order by h.instrument_id), p_as_of
    from (
        select h.account, h.strategy_id, h.instrument_id, sum(h.position_value) as position_value
        from risk._holdings(p_session_id, null, p_as_of) h
        group by grouping sets ((h.account, h.instrument_id), (h.account, h.strategy_id, h.instrument_id))) h
    where exists (
        select from risk.var_history k
        where k.session_id = p_session_id and k.account = h.account and k.strategy_id is not distinct from h.strategy_id
            and k.trading_date = v_date and k.method = 'parametric' and k.as_of = p_as_of and k.var is not null)
    group by h.account, h.strategy_id
    on conflict do nothing;
    return v_written;
end
$$;
comment on function risk.record_var(uuid, timestamptz) is
    'Records the value at risk of a session for the trading date of a time, once; returns the rows written. Errors: TT001, TT002.';
grant execute on function risk.record_var(uuid, timestamptz) to tsdb_worker_risk, tsdb_risk;
