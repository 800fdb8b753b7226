-- The parameters of a run's portfolio as JSON: those given, else those of the strategy's portfolio in the
-- session; null for none. Errors: TT001 a key or value that cannot be.
create or replace function backtest._read_portfolio(p_strategy text, p_session_id uuid, p_given jsonb)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    c_keys constant text[] := array['max_gross', 'max_sector_net', 'max_market_net', 'max_positions'];
    v signal.portfolio_parameters;
    v_wrong text;
begin
    if p_given is null or p_given = 'null' then
        return (
            select to_jsonb(f.parameters)
            from signal.portfolios f
            join signal.strategies s on s.strategy_id = f.strategy_id and s.strategy = p_strategy
            where f.session_id = p_session_id and p_given is null);
    elsif jsonb_typeof(p_given) <> 'object' then
        raise exception 'portfolio must be a JSON object of %', array_to_string(c_keys, ', ') using errcode = 'TT001';
    end if;
    select k into v_wrong from jsonb_object_keys(p_given) k where k <> all (c_keys) order by 1 limit 1;
    if v_wrong is not null then
        raise exception 'unknown key "%" in portfolio%: use %', v_wrong, ref._did_you_mean(v_wrong, c_keys),
            array_to_string(c_keys, ', ') using errcode = 'TT001';
    end if;
    begin
        v := jsonb_populate_record(null::signal.portfolio_parameters, p_given);
    exception when data_exception then
        raise exception 'a value in portfolio is not a number: %', sqlerrm using errcode = 'TT001';
    end;
    -- NaN sorts above infinity.
    if coalesce(v.max_gross, 1) <= 0 or coalesce(v.max_sector_net, 0) < 0 or coalesce(v.max_market_net, 0) < 0
        or coalesce(v.max_positions, 1) < 1
        or greatest(v.max_gross, v.max_sector_net, v.max_market_net) >= 'infinity'
    then
        raise exception 'portfolio: each bound must be finite, none below zero, max_gross and max_positions above' using errcode = 'TT001';
    end if;
    return to_jsonb(v);
end
$$;
comment on function backtest._read_portfolio(text, uuid, jsonb) is 'The parameters of a run''s portfolio.';
