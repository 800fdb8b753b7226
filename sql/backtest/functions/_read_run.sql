-- Reads and checks the parameters of a backtest: every key known, defaults filled in, instances named.
-- Returns strategy, source, session_id, feed, grid, fill, instances, universe, capital, delisted_after, close_at_end,
-- in_sample, costs, seed, portfolio and changes (parameters of the strategy).
-- Errors: TT001 a key or value that cannot be, TT002 a session, feed or pair that does not exist.
create or replace function backtest._read_run(
    p_strategy text,
    p_parameters jsonb,
    p_from timestamptz,
    p_to timestamptz
)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    c_sources constant text[] := array['session', 'quotes', 'bars', 'daily'];
    c_fills constant text[] := array['next', 'same'];
    v_source text := p_parameters->>'source';
    v_session_id uuid;
    v_feed text := p_parameters->>'feed';
    v_grid interval;
    v_delisted interval;
    v_capital numeric;
    v_seed bigint;
    v_in_sample boolean;
    v_close boolean;
    v_universe integer[];
    v_fill text := p_parameters->>'fill';
    v_pairs bigint[];
    v_wrong bigint;
    v_changes jsonb;
begin
    if jsonb_typeof(p_parameters) is distinct from 'object' then
        raise exception 'the parameters of a backtest must be a JSON object' using errcode = 'TT001';
    end if;
    v_changes := p_parameters - backtest._own_parameters();
    perform backtest._check_names(p_strategy, p_parameters);
    if v_source <> all (c_sources) then
        raise exception 'unknown source "%"%: use session, quotes, bars or daily', v_source,
            ref._did_you_mean(v_source, c_sources) using errcode = 'TT001';
    elsif v_fill <> all (c_fills) then
        raise exception 'unknown fill "%"%: use next or same', v_fill, ref._did_you_mean(v_fill, c_fills)
            using errcode = 'TT001';
    end if;
    if v_source is null and p_parameters ? 'session_id' then
        v_source := 'session';
    end if;
    if v_source is distinct from 'session' then
        if p_from is null or p_to is null or p_from >= p_to or not isfinite(p_from) or not isfinite(p_to) then
            raise exception 'source % needs p_from before p_to, both finite', coalesce(v_source, 'quotes, bars or daily') using errcode = 'TT001';
        end if;
        v_feed := backtest._read_feed(p_strategy, v_feed, p_from, p_to);
        v_source := coalesce(v_source, case when exists (
            select from market.sources s join ops.feeds f using (feed_id)
            where f.feed = v_feed and s.kind = 'quotes' and s.last_ts > p_from and s.first_ts <= p_to)
            then 'quotes' else 'daily' end);
    elsif p_from >= p_to then
        raise exception 'p_from must be before p_to' using errcode = 'TT001';
    end if;
    begin
        v_session_id := (p_parameters->>'session_id')::uuid;
        v_grid := coalesce((p_parameters->>'grid')::interval, case v_source
            when 'bars' then interval '1 minute' when 'daily' then interval '1 day' else interval '1 second' end);
        v_delisted := coalesce((p_parameters->>'delisted_after')::interval,
                               case when v_source = 'daily' then interval '10 days' end);
        v_capital := coalesce((p_parameters->>'capital')::numeric, 1000000);
        v_seed := coalesce((p_parameters->>'seed')::bigint, 0);
        v_in_sample := coalesce((p_parameters->>'in_sample')::boolean, false);
        v_close := coalesce((p_parameters->>'close_at_end')::boolean, false);
        select array_agg(distinct e.pair_id::bigint) into v_pairs
        from jsonb_array_elements_text(coalesce(p_parameters->'instances', p_parameters->'pairs')) e (pair_id);
    exception when data_exception then
        raise exception 'a parameter of the backtest cannot be read: %', sqlerrm using errcode = 'TT001';
    end;
    if (v_capital > 0 and v_capital < 'infinity') is not true then
        raise exception 'capital must be above zero' using errcode = 'TT001';
    elsif v_grid < interval '1 millisecond' or v_grid > interval '1 day'
        or (v_source = 'bars' and date_part('epoch', v_grid)::numeric % 60 <> 0)
        or (v_source = 'daily' and v_grid <> interval '1 day')
    then
        raise exception 'grid must be from 1 millisecond to 1 day, whole minutes over bars, and 1 day over daily bars'
            using errcode = 'TT001';
    elsif v_delisted <= interval '0' or (v_source = 'daily' and v_delisted < interval '5 days') then
        raise exception 'delisted_after must be above zero, and over daily bars at least 5 days: a long weekend has none'
            using errcode = 'TT001';
    end if;

    if p_parameters ?& array['instances', 'pairs'] then
        raise exception 'instances and pairs are the same parameter: give one of them' using errcode = 'TT001';
    elsif p_parameters ?| array['instances', 'pairs']
        and (v_pairs is null or array_position(v_pairs, null) is not null)
    then
        raise exception 'instances must be a list of at least one id, none of them null' using errcode = 'TT001';
    elsif p_parameters ? 'universe' and v_pairs is not null then
        raise exception 'universe chooses among all instances, instances and pairs name them: give one of both'
            using errcode = 'TT001';
    end if;
    v_universe := backtest._read_universe(p_parameters->'universe', p_from);

    if v_source = 'session' then
        if v_session_id is null then
            raise exception 'source session needs the parameter session_id' using errcode = 'TT001';
        elsif not exists (select from ops.sessions s where s.session_id = v_session_id) then
            raise exception 'session % does not exist', v_session_id using errcode = 'TT002';
        end if;
        v_pairs := coalesce(v_pairs, array(
            select b.pair_id
            from signal._bound b
            join signal._tradables t using (pair_id)
            join signal.strategies s on s.strategy_id = t.strategy_id and s.strategy = p_strategy
            where b.session_id = v_session_id and (v_universe is null or t.instruments <@ v_universe) order by 1));
    else
        v_pairs := coalesce(v_pairs, array(
            select p.pair_id
            from signal._tradables p
            join ops.feeds f using (feed_id)
            join signal.strategies s on s.strategy_id = p.strategy_id and s.strategy = p_strategy
            where f.feed = v_feed and p.enabled and p.superseded_at = 'infinity'
                and p.valid_from < p_to and p.valid_to > p_from
                and (v_universe is null or p.instruments <@ v_universe)
            order by p.pair_id));
    end if;
    if cardinality(v_pairs) = 0 then
        raise exception 'no % is valid in the window%: calibrate one on earlier data, or name it with the parameter instances',
            case p_strategy when 'pairs' then 'pair' else 'instance of ' || p_strategy end,
            case when v_universe is not null then ' with every leg in the universe' else '' end using errcode = 'TT001';
    end if;
    select u.pair_id into v_wrong from unnest(v_pairs) u (pair_id)
    where not exists (
        select from signal._tradables t join signal.strategies s using (strategy_id)
        where t.pair_id = u.pair_id and s.strategy = p_strategy)
    order by 1 limit 1;
    if v_wrong is not null then
        raise exception 'pair % does not exist, or is none of %: see signal.pairs and signal.instances', v_wrong, p_strategy
            using errcode = 'TT002';
    end if;
    select p.pair_id into v_wrong from signal._tradables p
    where v_source <> 'session' and not v_in_sample and p.pair_id = any (v_pairs)
        and (p.valid_from >= p_to or p.valid_to <= p_from)
    order by 1 limit 1;
    if v_wrong is not null then
        raise exception 'pair % is not valid at any time from % to %: take a window after its calibration, or allow it with "in_sample": true',
            v_wrong, p_from, p_to using errcode = 'TT001';
    end if;
    -- Here and not where they are stepped: an error there has a page of context.
    if p_strategy = 'pairs' and v_changes <> '{}' then
        perform signal.read_parameters(p.parameters, v_changes) from signal.pairs p where p.pair_id = any (v_pairs);
    elsif v_changes <> '{}' then
        perform signal._check_parameters(s, n.parameters || v_changes)
        from signal.instances n join signal.strategies s using (strategy_id)
        where n.instance_id = any (v_pairs);
    end if;
    return jsonb_build_object(
        'strategy', p_strategy, 'source', v_source, 'session_id', v_session_id, 'feed', v_feed, 'grid', v_grid,
        'fill', coalesce(v_fill, case when v_source in ('bars', 'daily') then 'next' else 'same' end),
        'instances', v_pairs, 'capital', v_capital, 'delisted_after', v_delisted, 'in_sample', v_in_sample,
        'universe', p_parameters->'universe', 'close_at_end', v_close,
        'seed', v_seed, 'costs', coalesce(p_parameters->'costs', '{}'),
        'portfolio', backtest._read_portfolio(p_strategy, v_session_id, p_parameters->'portfolio'), 'changes', v_changes);
end
$$;
comment on function backtest._read_run(text, jsonb, timestamptz, timestamptz) is
    'Reads and checks the parameters of a backtest.';
