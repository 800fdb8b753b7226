-- Recomputes a session from its stored ticks, recorded batches, pinned pairs and rules, and returns every
-- difference from what was recorded live; no rows: live and recomputed are the same, to the last bit.
--
-- kind: batch_gap (numbers or times of batches), tick_digest (ticks changed, added or gone),
-- batch_quote, parameters (a pinned pair or instance changed), features (what an inputs function gave),
-- strategy_error (a step that fails now and did not then), unconsumed_batch, consumption (order or
-- counts), missing_signal, extra_signal, differing_signal, target, state (where a pair or instance
-- stands at the end), portfolio_state, missing_match, extra_match (what rules found: a match that changed is
-- both), rule_error (the rules cannot be scanned, so nothing of them was compared). pair_id: the pair or instance.
-- Errors: TT002 unknown session.
create or replace function backtest.parity(p_session_id uuid)
returns table (kind text, batch_no bigint, pair_id bigint, detail jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
-- As signal.on_batch writes states as jsonb.
set extra_float_digits = 1
set timezone = 'UTC'
set intervalstyle = 'postgres'
as $$
begin
    if not exists (select from ops.sessions s where s.session_id = p_session_id) then
        raise exception 'session % does not exist', p_session_id using errcode = 'TT002';
    end if;

    return query
    select 'batch_gap', b.batch_no, null::bigint,
           jsonb_build_object('previous_batch_no', b.previous, 'from_ts', b.from_ts, 'previous_as_of', b.previous_as_of)
    from (
        select t.batch_no, t.from_ts, lag(t.batch_no, 1, 0::bigint) over w as previous,
               lag(t.as_of) over w as previous_as_of
        from market.batches t where t.session_id = p_session_id
        window w as (order by t.batch_no)) b
    where b.batch_no <> b.previous + 1 or b.from_ts < b.previous_as_of
    order by b.batch_no;

    return query
    select 'tick_digest', b.batch_no, null::bigint, jsonb_build_object(
        'recorded', jsonb_build_array(b.quote_count, b.trade_count, b.digest),
        'recomputed', jsonb_build_array(coalesce(d.quote_count, 0), coalesce(d.trade_count, 0), d.digest))
    from market.batches b
    left join backtest._replay_digests(p_session_id) d on d.batch_no = b.batch_no
    where b.session_id = p_session_id
        and (b.quote_count, b.trade_count, b.digest)
            is distinct from (coalesce(d.quote_count, 0), coalesce(d.trade_count, 0), d.digest)
    order by b.batch_no;

    return query
    select 'batch_quote', coalesce(l.batch_no, r.batch_no), null::bigint,
           jsonb_build_object('recorded', to_jsonb(l), 'recomputed', to_jsonb(r))
    from (
        select q.batch_no, q.as_of, q.instrument_id, q.feed_id, q.source_id, q.seq, q.ts, q.ns,
               q.bid_price, q.bid_size, q.ask_price, q.ask_size
        from market.batch_quotes q where q.session_id = p_session_id) l
    full join backtest._replay_quotes(p_session_id) r
        on r.batch_no = l.batch_no and r.instrument_id = l.instrument_id
    where l is distinct from r
    order by 2;

    return query
    select 'parameters', null::bigint, sp.pair_id,
           jsonb_build_object('pinned', sp.digest, 'now', signal._pair_digest(p), 'parameters', to_jsonb(p.parameters))
    from signal.session_pairs sp join signal.pairs p on p.pair_id = sp.pair_id
    where sp.session_id = p_session_id and sp.digest is distinct from signal._pair_digest(p)
    order by sp.pair_id;

    return query
    select 'parameters', null::bigint, si.instance_id,
           jsonb_build_object('pinned', si.digest, 'now', signal._instance_digest(n), 'parameters', n.parameters)
    from signal.session_instances si join signal.instances n on n.instance_id = si.instance_id
    where si.session_id = p_session_id and si.digest is distinct from signal._instance_digest(n)
    order by si.instance_id;

    -- What an inputs function raises is reported as strategy_error below.
    begin
        return query
        select 'features', coalesce(f.batch_no, r.batch_no), null::bigint,
               jsonb_build_object('recorded', to_jsonb(f), 'recomputed', to_jsonb(r))
        from (select * from signal.batch_features x where x.session_id = p_session_id) f
        full join (
            select s.strategy_id, x.*
            from signal.strategies s cross join lateral backtest._replay_features(p_session_id, s) x
            where s.inputs is not null and s.strategy_id in (
                select n.strategy_id
                from signal.session_instances si join signal.instances n using (instance_id)
                where si.session_id = p_session_id)) r using (strategy_id, instrument_id, batch_no)
        where (f.as_of, f.features) is distinct from (r.as_of, r.features)
        order by 2;
    exception when others then
        if signal._is_transient(sqlstate) then
            raise;
        end if;
    end;

    begin
        if exists (select from signal.rule_spans s where s.session_id = p_session_id)
            or exists (select from signal.rule_matches m where m.session_id = p_session_id)
        then
            return query
            select r.kind, r.batch_no, null::bigint, to_jsonb(r) - 'kind' - 'batch_no'
            from signal.rule_parity(p_session_id) r;
        end if;
    exception when others then
        if signal._is_transient(sqlstate) then
            raise;
        end if;
        return query select 'rule_error', null::bigint, null::bigint, jsonb_build_object('code', sqlstate, 'message', sqlerrm);
    end;

    return query
    with states as materialized (
        select p.strategy_id, s.pair_id, s.batch_no, s.as_of, s.state, null::jsonb as as_json,
               (s.state).event, (s.state).target, (s.state).spread, (s.state).z_score as score,
               array[p.instrument_a, p.instrument_b] as instruments,
               array[(s.state).quantity_a, (s.state).quantity_b] as quantities, null::text as problem
        from backtest._replay_states(p_session_id) s join signal.pairs p using (pair_id)
        union all
        select n.strategy_id, n.pair_id, n.batch_no, n.as_of, null, n.state, n.event,
               coalesce((
                   select sign(u.quantity) from unnest(n.quantities) with ordinality u (quantity, leg)
                   where u.quantity <> 0 order by u.leg limit 1), 0)::smallint,
               null, n.score, n.instruments, n.quantities, n.problem
        from backtest._replay_instances(p_session_id) n
    ),
    settled as materialized (
        select t.batch_no, t.as_of, (t.decision).*, t.portfolio,
               coalesce((t.decision).instance_id, -(t.decision).strategy_id) as key
        from backtest._settle_replay(p_session_id, array(
            select row(s.batch_no, s.as_of, row(s.strategy_id, s.pair_id, s.event, s.target, s.spread, s.score,
                       s.instruments, s.quantities, true, null)::signal.decision)::backtest.decision_at
            from states s where s.event is not null and s.problem is null)) t
    ),
    due as (
        select t.*, b.batch_id
        from settled t
        join market.batches b on b.session_id = p_session_id and b.batch_no = t.batch_no
        where t.event is not null
    ),
    -- Numbered, so that a signal recorded twice is one too many.
    live as materialized (
        select g.*, coalesce(g.pair_id, -g.strategy_id) as key,
               row_number() over (partition by g.pair_id, g.strategy_id, g.batch_no order by g.signal_id) as copy
        from signal.signals g where g.session_id = p_session_id
    ),
    consumption as (
        select c.batch_id, c.consumption_no, c.pairs_stepped, c.signals
        from signal.consumed_batches c where c.session_id = p_session_id
    ),
    counts as (
        select c.batch_no, sum(c.stepped)::bigint as stepped, sum(c.signals)::bigint as signals
        from (
            select t.batch_no, count(*) as stepped, 0 as signals
            from states t where t.problem is null group by t.batch_no
            union all
            select d.batch_no, 0, count(*) from due d group by d.batch_no) c
        group by c.batch_no
    ),
    last_states as (
        select distinct on (t.pair_id) t.pair_id, t.batch_no, t.state, t.as_json
        from states t where t.problem is null order by t.pair_id, t.batch_no desc
    ),
    differences as (
        select 'unconsumed_batch' as kind, b.batch_no, null::bigint as pair_id, '{}'::jsonb as detail
        from market.batches b
        where b.session_id = p_session_id
            and not exists (select from consumption c where c.batch_id = b.batch_id)
        union all
        select 'consumption', b.batch_no, null, jsonb_build_object(
            'recorded', jsonb_build_array(c.consumption_no, c.pairs_stepped, c.signals),
            'recomputed', jsonb_build_array(b.batch_no, coalesce(n.stepped, 0), coalesce(n.signals, 0)))
        from consumption c
        left join market.batches b on b.batch_id = c.batch_id and b.session_id = p_session_id
        left join counts n on n.batch_no = b.batch_no
        where (c.consumption_no, c.pairs_stepped::bigint, c.signals::bigint)
            is distinct from (b.batch_no, coalesce(n.stepped, 0), coalesce(n.signals, 0))
        union all
        select 'strategy_error', s.batch_no, s.pair_id,
               jsonb_build_object('strategy_id', s.strategy_id, 'message', s.problem)
        from states s where s.problem is not null
        union all
        select case when g.signal_id is null then 'missing_signal'
                    when d.key is null then 'extra_signal'
                    else 'differing_signal' end,
               coalesce(d.batch_no, g.batch_no), coalesce(d.instance_id, g.pair_id),
               jsonb_build_object('recorded', to_jsonb(g), 'recomputed', to_jsonb(d))
        from due d
        full join live g on g.key = d.key and g.batch_no = d.batch_no and g.copy = 1
        where (g.as_of, g.strategy_id, g.batch_id, g.event, g.target, g.spread, g.z_score, g.traded, g.refusal)
            is distinct from (d.as_of, d.strategy_id, d.batch_id, d.event, d.target, d.spread, d.z_score,
                              d.traded, d.refusal)
        union all
        select 'state', coalesce(l.batch_no, s.batch_no), coalesce(l.pair_id, s.pair_id),
               jsonb_build_object('recorded', to_jsonb(s), 'recomputed', to_jsonb(l))
        from last_states l
        full join (
            select ps.pair_id, ps.batch_no, ps.batch_id, ps.state, null::jsonb as as_json
            from signal.pair_states ps where ps.session_id = p_session_id
            union all
            select n.instance_id, n.batch_no, n.batch_id, null, n.state
            from signal.instance_states n where n.session_id = p_session_id) s on s.pair_id = l.pair_id
        left join market.batches b on b.session_id = p_session_id and b.batch_no = l.batch_no
        where (l.batch_no, b.batch_id, l.state, l.as_json) is distinct from (s.batch_no, s.batch_id, s.state, s.as_json)
        union all
        select 'portfolio_state', coalesce(l.batch_no, s.batch_no), null,
               jsonb_build_object('strategy_id', coalesce(l.strategy_id, s.strategy_id),
                                  'recorded', to_jsonb(s), 'recomputed', to_jsonb(l.portfolio))
        from (
            select distinct on (t.strategy_id) t.strategy_id, t.batch_no, t.portfolio
            from settled t where t.event is null order by t.strategy_id, t.batch_no desc) l
        full join (
            select ps.strategy_id, ps.batch_no, ps.state
            from signal.portfolio_states ps where ps.session_id = p_session_id) s using (strategy_id)
        where (l.batch_no, l.portfolio) is distinct from (s.batch_no, s.state)
        union all
        select 'target', coalesce(e.batch_no, t.batch_no), coalesce(e.instance_id, t.pair_id),
               jsonb_build_object('leg', coalesce(e.leg, t.leg), 'recorded', to_jsonb(t.wanted),
                                  'recomputed', to_jsonb(e.wanted))
        from (
            select d.batch_no, d.key, d.instance_id, l.leg,
                   (d.as_of, l.instrument_id, l.quantity::numeric, q.mid, q.ts, q.ns, q.source_id, q.seq)
                   ::backtest.leg_target as wanted
            from due d
            cross join lateral unnest(d.instruments, d.quantities)
                with ordinality l (instrument_id, quantity, leg)
            -- The recorded quote: that it is the right one is compared above.
            left join lateral signal._last_quotes(
                p_session_id, array[l.instrument_id], d.batch_no, d.as_of) q on true) e
        full join (
            -- Numbered for the same reason as the signals.
            select g.batch_no, g.key, g.pair_id, t.leg, row_number() over (partition by g.signal_id, t.leg) as copy,
                   (t.as_of, t.instrument_id, t.target_quantity, t.mid, t.quote_ts, t.quote_ns,
                    t.quote_source_id, t.quote_seq)::backtest.leg_target as wanted
            from live g join signal.targets t on t.signal_id = g.signal_id and t.as_of = g.as_of
            where g.copy = 1) t
            on t.batch_no = e.batch_no and t.key = e.key and t.leg = e.leg and t.copy = 1
        where e.wanted is distinct from t.wanted
    )
    select d.kind, d.batch_no, d.pair_id, d.detail from differences d
    order by d.batch_no, d.pair_id, d.kind;
end
$$;
comment on function backtest.parity(uuid) is
    'Every difference between a session as recorded live and as recomputed from its ticks; no rows when there is none.';
grant execute on function backtest.parity(uuid) to tsdb_reader;
