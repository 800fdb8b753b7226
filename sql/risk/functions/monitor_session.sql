-- Marks a session at a session time, measures every account and strategy in it, and acts on what is over a
-- limit: a row in risk.breaches, an alert, and the trading state of the account or strategy, which is
-- raised (soft limit: reducing, hard limit: halted) and never lowered. Measures: risk.monitor_measures.
-- Returns how many breaches are new. A time that was looked at, or one before it, changes nothing, whoever
-- asks; a session that is closed neither. Errors: TT001 no time; TT002 unknown session.
create or replace function risk.monitor_session(p_session_id uuid, p_as_of timestamptz)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_status text;
    v_figures risk.figures[];
begin
    if p_as_of is null then
        raise exception 'the risk monitor needs p_as_of, the session time' using errcode = 'TT001';
    end if;
    select s.status into v_status from ops.sessions s where s.session_id = p_session_id;
    if not found then
        raise exception 'session % does not exist', coalesce(p_session_id::text, 'null') using errcode = 'TT002';
    elsif v_status <> 'open' then
        return 0;
    end if;
    -- A second monitor waits here, and then finds the time looked at.
    insert into risk.monitored as m (session_id, as_of) values (p_session_id, p_as_of)
    on conflict (session_id) do update set as_of = excluded.as_of where m.as_of < excluded.as_of;
    if not found then
        return 0;
    end if;
    perform portfolio.mark_session(p_session_id, p_as_of);
    v_figures := array(select f from risk._figures(p_session_id, p_as_of) f);
    insert into risk.monitor_states as m (session_id, account, strategy_id, trading_date, first_as_of,
        opening_pnl, high_water, total_pnl, as_of)
    select p_session_id, f.account, f.strategy_id, f.trading_date, f.first_as_of, coalesce(f.opening_pnl, 0),
        f.high_water, f.total_pnl, p_as_of
    from unnest(v_figures) f
    on conflict (session_id, account, strategy_id) do update
    set trading_date = coalesce(excluded.trading_date, m.trading_date), first_as_of = excluded.first_as_of,
        opening_pnl = case when excluded.trading_date is null then m.opening_pnl else excluded.opening_pnl end,
        high_water = excluded.high_water, total_pnl = coalesce(excluded.total_pnl, m.total_pnl),
        as_of = excluded.as_of;
    return risk._record_breaches(p_session_id, v_figures, p_as_of);
end
$$;
comment on function risk.monitor_session(uuid, timestamptz) is
    'Marks a session, records breaches of limits after the trade with their alerts, and raises trading states; returns how many breaches are new. Idempotent by session and time. Errors: TT001 no time, TT002 unknown session.';
grant execute on function risk.monitor_session(uuid, timestamptz) to tsdb_worker_risk;
