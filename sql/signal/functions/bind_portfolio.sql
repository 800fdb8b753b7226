-- Has a strategy's instances netted and constrained together in a session, in one account, and returns
-- how many instruments they have. p_parameters: JSON with max_gross, max_sector_net, max_market_net
-- (account currency) and max_positions; what is left out or null is no constraint, {} nets alone.
-- Bound again before the first step it replaces what was bound.
-- Errors: TT001 a parameter that cannot be, a session that is closed or has consumed batches, instances
-- in another account; TT002 unknown session, strategy or account.
create or replace function signal.bind_portfolio(
    p_session_id uuid,
    p_strategy text,
    p_parameters jsonb,
    p_account text default 'main'
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_strategy_id integer;
    v_status text;
    v_parameters signal.portfolio_parameters;
    v_wrong text;
begin
    perform ops._audit('signal.bind_portfolio', p_session_id::text,
        jsonb_build_object('strategy', p_strategy, 'parameters', p_parameters, 'account', p_account));
    perform pg_advisory_xact_lock(hashtextextended('signal.on_batch ' || p_session_id, 0));
    select s.status into v_status from ops.sessions s where s.session_id = p_session_id;
    select s.strategy_id into v_strategy_id from signal.strategies s
    where s.strategy = p_strategy and s.state_type is not null;
    if v_status is null then
        raise exception 'session % does not exist', p_session_id using errcode = 'TT002';
    elsif v_strategy_id is null then
        raise exception 'strategy "%" does not exist, or is not stepped', p_strategy using errcode = 'TT002';
    elsif not exists (select from ref.accounts a where a.account = p_account) then
        raise exception 'account "%" does not exist', p_account using errcode = 'TT002';
    elsif v_status <> 'open' then
        raise exception 'session % is %: open a new one', p_session_id, v_status using errcode = 'TT001';
    elsif exists (select from signal.consumed_batches c where c.session_id = p_session_id) then
        raise exception 'session % has consumed batches: its portfolios are fixed', p_session_id using errcode = 'TT001';
    elsif jsonb_typeof(p_parameters) is distinct from 'object' then
        raise exception 'parameters must be a JSON object' using errcode = 'TT001';
    end if;
    select 'unknown parameter "' || k || '": use max_gross, max_sector_net, max_market_net, max_positions' into v_wrong
    from jsonb_object_keys(p_parameters) k
    where k not in ('max_gross', 'max_sector_net', 'max_market_net', 'max_positions') order by k limit 1;
    if v_wrong is null then
        begin
            v_parameters := jsonb_populate_record(null::signal.portfolio_parameters, p_parameters);
            v_wrong := case
                when not (coalesce(v_parameters.max_gross, 1) > 0 and coalesce(v_parameters.max_gross, 1) < 'infinity')
                    then 'max_gross must be above zero'
                when not (coalesce(v_parameters.max_sector_net, 0) >= 0
                    and coalesce(v_parameters.max_sector_net, 0) < 'infinity') then 'max_sector_net must not be negative'
                when not (coalesce(v_parameters.max_market_net, 0) >= 0
                    and coalesce(v_parameters.max_market_net, 0) < 'infinity') then 'max_market_net must not be negative'
                when v_parameters.max_positions < 1 then 'max_positions must be at least 1'
            end;
        exception when data_exception then
            v_wrong := 'a parameter is not a number: ' || sqlerrm;
        end;
    end if;
    if v_wrong is not null then
        raise exception '%', v_wrong using errcode = 'TT001';
    end if;
    delete from signal.portfolio_instruments p
    where p.session_id = p_session_id and p.strategy_id = v_strategy_id;
    insert into signal.portfolios (session_id, strategy_id, account, parameters)
    values (p_session_id, v_strategy_id, p_account, v_parameters)
    on conflict (session_id, strategy_id) do update
        set account = excluded.account, parameters = excluded.parameters;
    perform signal._pin_exposures(p_session_id);
    return (
        select count(*) from signal.portfolio_instruments p
        where p.session_id = p_session_id and p.strategy_id = v_strategy_id);
end
$$;
comment on function signal.bind_portfolio(uuid, text, jsonb, text) is
    'Has a strategy''s instances netted and constrained together in a session; returns how many instruments they have.';
grant execute on function signal.bind_portfolio(uuid, text, jsonb, text) to tsdb_ops;
