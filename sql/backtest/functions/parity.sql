-- Recomputes a session from its stored ticks, recorded batches and pinned pairs, and returns every
-- difference from what was recorded live; no rows: live and recomputed are the same, to the last bit.
--
-- kind: batch_gap (numbers or times of batches), tick_digest (ticks changed, added or gone),
-- batch_quote, parameters (a pinned pair changed), unconsumed_batch, consumption (order or counts),
-- missing_signal, extra_signal, differing_signal, target, state (where a pair stands at the end).
-- Errors: TT002 unknown session.
create or replace function backtest.parity(p_session_id uuid)
returns table (kind text, batch_no bigint, pair_id bigint, detail jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
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
    with states as materialized (
        select * from backtest._replay_states(p_session_id)
    ),
    due as materialized (
        select t.pair_id, t.batch_no, t.as_of, t.state, t.quote_batch_a, t.quote_batch_b,
               b.batch_id, p.strategy_id, p.instrument_a, p.instrument_b
        from states t
        join signal.pairs p on p.pair_id = t.pair_id
        join market.batches b on b.session_id = p_session_id and b.batch_no = t.batch_no
        where (t.state).event is not null
    ),
    -- Numbered, so that a signal recorded twice is one too many.
    live as materialized (
        select g.*, row_number() over (partition by g.pair_id, g.batch_no order by g.signal_id) as copy
        from signal.signals g where g.session_id = p_session_id
    ),
    consumption as (
        select c.batch_id, c.consumption_no, c.pairs_stepped, c.signals
        from signal.consumed_batches c where c.session_id = p_session_id
    ),
    counts as (
        select t.batch_no, count(*) as stepped, count(*) filter (where (t.state).event is not null) as signals
        from states t group by t.batch_no
    ),
    last_states as (
        select distinct on (t.pair_id) t.pair_id, t.batch_no, t.state
        from states t order by t.pair_id, t.batch_no desc
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
        select case when g.signal_id is null then 'missing_signal'
                    when d.pair_id is null then 'extra_signal'
                    else 'differing_signal' end,
               coalesce(d.batch_no, g.batch_no), coalesce(d.pair_id, g.pair_id),
               jsonb_build_object('recorded', to_jsonb(g), 'recomputed', to_jsonb(d.state))
        from due d
        full join live g on g.pair_id = d.pair_id and g.batch_no = d.batch_no and g.copy = 1
        where (g.as_of, g.strategy_id, g.batch_id, g.event, g.target, g.spread, g.z_score)
            is distinct from (d.as_of, d.strategy_id, d.batch_id, (d.state).event, (d.state).target,
                              (d.state).spread, (d.state).z_score)
        union all
        select 'state', coalesce(l.batch_no, s.batch_no), coalesce(l.pair_id, s.pair_id),
               jsonb_build_object('recorded', to_jsonb(s), 'recomputed', to_jsonb(l))
        from last_states l
        full join (
            select ps.pair_id, ps.batch_no, ps.batch_id, ps.state
            from signal.pair_states ps where ps.session_id = p_session_id) s on s.pair_id = l.pair_id
        left join market.batches b on b.session_id = p_session_id and b.batch_no = l.batch_no
        where (l.batch_no, b.batch_id, l.state) is distinct from (s.batch_no, s.batch_id, s.state)
        union all
        select 'target', coalesce(e.batch_no, t.batch_no), coalesce(e.pair_id, t.pair_id),
               jsonb_build_object('leg', coalesce(e.leg, t.leg), 'recorded', to_jsonb(t.wanted),
                                  'recomputed', to_jsonb(e.wanted))
        from (
            select d.batch_no, d.pair_id, l.leg,
                   (d.as_of, l.instrument_id, l.quantity::numeric, l.mid, q.ts, q.ns, q.source_id, q.seq)
                   ::backtest.leg_target as wanted
            from due d
            cross join lateral (values
                (1::smallint, d.instrument_a, (d.state).quantity_a, (d.state).mid_a, d.quote_batch_a),
                (2::smallint, d.instrument_b, (d.state).quantity_b, (d.state).mid_b, d.quote_batch_b)
            ) l (leg, instrument_id, quantity, mid, quote_batch)
            -- The recorded quote: that it is the right one is compared above.
            join market.batches b on b.session_id = p_session_id and b.batch_no = l.quote_batch
            join market.batch_quotes q
                on q.batch_id = b.batch_id and q.as_of = b.as_of and q.instrument_id = l.instrument_id) e
        full join (
            -- Numbered for the same reason as the signals.
            select g.batch_no, g.pair_id, t.leg, row_number() over (partition by g.signal_id, t.leg) as copy,
                   (t.as_of, t.instrument_id, t.target_quantity, t.mid, t.quote_ts, t.quote_ns,
                    t.quote_source_id, t.quote_seq)::backtest.leg_target as wanted
            from live g join signal.targets t on t.signal_id = g.signal_id and t.as_of = g.as_of
            where g.copy = 1) t
            on t.batch_no = e.batch_no and t.pair_id = e.pair_id and t.leg = e.leg and t.copy = 1
        where e.wanted is distinct from t.wanted
    )
    select d.kind, d.batch_no, d.pair_id, d.detail from differences d
    order by d.batch_no, d.pair_id, d.kind;
end
$$;
comment on function backtest.parity(uuid) is
    'Every difference between a session as recorded live and as recomputed from its ticks; no rows when there is none.';
grant execute on function backtest.parity(uuid) to tsdb_reader;
