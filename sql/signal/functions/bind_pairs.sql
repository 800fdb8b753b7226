-- Pins the pairs and the instances of other strategies that a session trades, and returns how many.
-- Without p_pair_ids: all enabled ones of the session's feed that are valid at its start, of active
-- strategies. With them: exactly these; a superseded one is allowed, so that an earlier session can be
-- repeated, one that is not valid yet is not. Binding one again with the same account changes nothing.
-- Errors: TT002 unknown session, account or pair; TT001 a session that is closed or has consumed
-- batches, a pair not valid at its start or of another feed, two calibrations of the same symbols,
-- an account that is not that of the strategy's portfolio.
create or replace function signal.bind_pairs(
    p_session_id uuid,
    p_account text default 'main',
    p_pair_ids bigint[] default null
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_session ops.sessions;
    v_start timestamptz;
    v_wrong record;
    v_count integer;
begin
    perform ops._audit('signal.bind_pairs', p_session_id::text,
        jsonb_build_object('account', p_account, 'pair_ids', p_pair_ids));
    -- Serialised with signal.on_batch: the set is fixed before the first step.
    perform pg_advisory_xact_lock(hashtextextended('signal.on_batch ' || p_session_id, 0));
    select * into v_session from ops.sessions s where s.session_id = p_session_id;
    if not found then
        raise exception 'session % does not exist', p_session_id using errcode = 'TT002';
    elsif v_session.status <> 'open' then
        raise exception 'session % is %: open a new one', p_session_id, v_session.status using errcode = 'TT001';
    elsif exists (select from signal.consumed_batches c where c.session_id = p_session_id) then
        raise exception 'session % has consumed batches: its pairs are fixed', p_session_id using errcode = 'TT001';
    elsif not exists (select from ref.accounts a where a.account = p_account) then
        raise exception 'account "%" does not exist', p_account using errcode = 'TT002';
    end if;
    v_start := coalesce(v_session.from_ts, v_session.opened_at);

    select w.pair_id, p.pair_id is null as unknown into v_wrong
    from unnest(p_pair_ids) w (pair_id) left join signal._tradables p using (pair_id)
    where p.pair_id is null
        or v_start < p.valid_from or v_start >= p.valid_to
        or p.feed_id is distinct from coalesce(v_session.feed_id, p.feed_id)
    order by w.pair_id limit 1;
    if v_wrong.unknown then
        raise exception 'pair % does not exist: see signal.pairs', v_wrong.pair_id using errcode = 'TT002';
    elsif v_wrong.pair_id is not null then
        raise exception 'pair % is not of the session''s feed, or not valid at its start %', v_wrong.pair_id, v_start
            using errcode = 'TT001';
    end if;

    with chosen as materialized (
        select t.pair_id, t.is_pair
        from signal._tradables t
        join signal.strategies s on s.strategy_id = t.strategy_id
        where case
            when p_pair_ids is not null then t.pair_id = any (p_pair_ids)
            else t.enabled and s.status = 'active' and t.superseded_at = 'infinity'
                and v_start >= t.valid_from and v_start < t.valid_to
                and (v_session.feed_id is null or t.feed_id = v_session.feed_id)
            end
    ),
    pinned as (
        insert into signal.session_instances (session_id, instance_id, account, digest)
        select p_session_id, n.instance_id, p_account, signal._instance_digest(n)
        from chosen c join signal.instances n on n.instance_id = c.pair_id and not c.is_pair
        on conflict (session_id, instance_id) do nothing
    )
    insert into signal.session_pairs (session_id, pair_id, account, digest)
    select p_session_id, p.pair_id, p_account, signal._pair_digest(p)
    from chosen c join signal.pairs p on p.pair_id = c.pair_id and c.is_pair
    on conflict (session_id, pair_id) do nothing;

    if exists (
        select from signal._bound sp join signal._tradables p using (pair_id)
        where sp.session_id = p_session_id
        group by p.strategy_id, sp.account, p.symbols_key
        having count(*) > 1)
    then
        raise exception 'two calibrations of the same pair in one session: name the pairs to trade'
            using errcode = 'TT001';
    end if;
    perform signal._pin_exposures(p_session_id);
    select count(*) into v_count from signal._bound sp
    where sp.session_id = p_session_id and sp.account = p_account;
    return v_count;
end
$$;
comment on function signal.bind_pairs(uuid, text, bigint[]) is
    'Pins the pairs and instances a session trades, those valid at its start unless named; returns how many.';
grant execute on function signal.bind_pairs(uuid, text, bigint[]) to tsdb_ops;
