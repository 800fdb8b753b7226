-- Reads and checks the parameters of a backtest: every key known, defaults filled in, pairs named.
-- Returns source, session_id, feed, grid, pairs, capital and changes (parameters of the strategy).
-- Errors: TT001 a key or value that cannot be, TT002 a session, feed or pair that does not exist.
create or replace function backtest._read_run(
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
    c_own constant text[] := array['source', 'session_id', 'feed', 'grid', 'pairs', 'capital', 'in_sample'];
    c_strategy constant text[] := array['hedge_ratio', 'mean', 'deviation', 'entry', 'exit', 'stop',
                                        'half_life_s', 'warm_up_s', 'max_gap_s', 'notional'];
    v_key text;
    v_source text := coalesce(p_parameters->>'source', case when p_parameters ? 'session_id' then 'session' else 'quotes' end);
    v_session_id uuid;
    v_feed text := p_parameters->>'feed';
    v_feeds text[];
    v_grid interval;
    v_capital double precision;
    v_pairs bigint[];
    v_wrong bigint;
begin
    if jsonb_typeof(p_parameters) is distinct from 'object' then
        raise exception 'the parameters of a backtest must be a JSON object' using errcode = 'TT001';
    end if;
    select k into v_key from jsonb_object_keys(p_parameters) k
    where k <> all (c_own || c_strategy) order by k limit 1;
    if v_key is not null then
        raise exception 'unknown parameter "%": use %', v_key, array_to_string(c_own || c_strategy, ', ')
            using errcode = 'TT001';
    elsif v_source not in ('session', 'quotes', 'bars') then
        raise exception 'unknown source "%": use session, quotes or bars', v_source using errcode = 'TT001';
    end if;
    begin
        v_session_id := (p_parameters->>'session_id')::uuid;
        v_grid := coalesce((p_parameters->>'grid')::interval,
                           case v_source when 'bars' then interval '1 minute' else interval '1 second' end);
        v_capital := coalesce((p_parameters->>'capital')::double precision, 1000000);
        select array_agg(distinct e.pair_id::bigint) into v_pairs
        from jsonb_array_elements_text(p_parameters->'pairs') e (pair_id);
    exception when data_exception then
        raise exception 'a parameter of the backtest cannot be read: %', sqlerrm using errcode = 'TT001';
    end;
    if (v_capital > 0 and v_capital < 'infinity') is not true then
        raise exception 'capital must be above zero' using errcode = 'TT001';
    elsif v_grid < interval '1 millisecond' or v_grid > interval '1 day'
        or (v_source = 'bars' and date_part('epoch', v_grid)::numeric % 60 <> 0)
    then
        raise exception 'grid must be from 1 millisecond to 1 day, and whole minutes over bars' using errcode = 'TT001';
    end if;

    if v_source = 'session' then
        if v_session_id is null then
            raise exception 'source session needs the parameter session_id' using errcode = 'TT001';
        elsif not exists (select from ops.sessions s where s.session_id = v_session_id) then
            raise exception 'session % does not exist', v_session_id using errcode = 'TT002';
        end if;
        v_pairs := coalesce(v_pairs, array(
            select sp.pair_id from signal.session_pairs sp where sp.session_id = v_session_id order by 1));
    else
        if p_from is null or p_to is null or p_from >= p_to then
            raise exception 'source % needs p_from before p_to', v_source using errcode = 'TT001';
        end if;
        v_feeds := array(select f.feed from ops.feeds f order by f.feed);
        if v_feed is null and cardinality(v_feeds) = 1 then
            v_feed := v_feeds[1];
        elsif v_feed is null or v_feed <> all (v_feeds) then
            raise exception 'name the parameter feed, one of: %', array_to_string(v_feeds, ', ') using errcode = 'TT002';
        end if;
        v_pairs := coalesce(v_pairs, array(
            select p.pair_id from signal.pairs p join ops.feeds f using (feed_id)
            where f.feed = v_feed and p.enabled and p.superseded_at = 'infinity'
                and p.valid_from <= p_from and p.valid_to > p_from
            order by p.pair_id));
    end if;
    if cardinality(v_pairs) = 0 then
        raise exception 'no pair to trade: calibrate one on an earlier day, or name it with the parameter pairs'
            using errcode = 'TT001';
    end if;
    select u.pair_id into v_wrong from unnest(v_pairs) u (pair_id)
    where not exists (select from signal.pairs p where p.pair_id = u.pair_id) order by 1 limit 1;
    if v_wrong is not null then
        raise exception 'pair % does not exist: see signal.pairs', v_wrong using errcode = 'TT002';
    end if;
    select p.pair_id into v_wrong from signal.pairs p
    where v_source <> 'session' and p.pair_id = any (v_pairs) and p.calibrated_to > p_from
        and coalesce(p_parameters->'in_sample', 'false') <> 'true'
    order by 1 limit 1;
    if v_wrong is not null then
        raise exception 'pair % was calibrated on data after %: start later, or allow it with "in_sample": true', v_wrong, p_from
            using errcode = 'TT001';
    end if;
    return jsonb_build_object(
        'source', v_source, 'session_id', v_session_id, 'feed', v_feed, 'grid', v_grid, 'pairs', v_pairs,
        'capital', v_capital, 'changes', p_parameters - c_own);
end
$$;
comment on function backtest._read_run(jsonb, timestamptz, timestamptz) is
    'Reads and checks the parameters of a backtest.';
