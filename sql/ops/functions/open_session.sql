-- Opens a session; everything that trades from now on can belong to it.
-- p_parameters: speed (max, or a multiple of real time), and for the orders of signals order_type
-- (limit, market), time_in_force (day, ioc, fok), limit_offset_bps. They are checked here: found out
-- later, one would stop a worker and with it every session.
-- Errors: TT002 unknown feed; TT001 a kind, window, interval or parameter that cannot be.
create or replace function ops.open_session(
    p_kind text,
    p_name text,
    p_feed text default null,
    p_from timestamptz default null,
    p_to timestamptz default null,
    p_batch_interval interval default '1 second',
    p_parameters jsonb default '{}'
) returns uuid
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_feed_id integer;
    v_session_id uuid;
    v_number constant text := '^(\d+\.?\d*|\.\d+)(e[+-]?\d{1,2})?$';
    v_bad text;
begin
    perform ops._audit('ops.open_session', p_name,
        jsonb_build_object('kind', p_kind, 'feed', p_feed, 'from', p_from, 'to', p_to,
            'batch_interval', p_batch_interval, 'parameters', p_parameters));
    select k.key into v_bad
    from jsonb_each_text(p_parameters) k
    where case k.key
        when 'speed' then k.value <> 'max' and (k.value !~* v_number or k.value !~ '[1-9]')
        when 'order_type' then k.value not in ('limit', 'market')
        when 'time_in_force' then k.value not in ('day', 'ioc', 'fok')
        when 'limit_offset_bps' then k.value !~* v_number
        else false end is not false
    limit 1;
    if v_bad is not null then
        raise exception 'session parameter "%" has the unusable value "%"', v_bad, p_parameters->>v_bad
            using errcode = 'TT001';
    end if;
    if p_feed is not null then
        select feed_id into v_feed_id from ops.feeds where feed = p_feed;
        if v_feed_id is null then
            raise exception 'feed "%" does not exist: load it first', p_feed using errcode = 'TT002';
        end if;
    end if;
    insert into ops.sessions (kind, name, feed_id, from_ts, to_ts, batch_interval, parameters)
    values (p_kind, p_name, v_feed_id, p_from, p_to, p_batch_interval, p_parameters)
    returning session_id into v_session_id;
    perform pg_notify('ops_sessions', v_session_id::text);
    return v_session_id;
exception
    when check_violation or not_null_violation then
        raise exception 'session "%" cannot be opened: % (a replay needs a feed and from < to)', p_name, sqlerrm
            using errcode = 'TT001';
end
$$;
comment on function ops.open_session(text, text, text, timestamptz, timestamptz, interval, jsonb) is
    'Opens a session of kind live, paper, replay or backtest; a replay covers p_from < ts <= p_to of the feed in batches of p_batch_interval.';
grant execute on function ops.open_session(text, text, text, timestamptz, timestamptz, interval, jsonb)
    to tsdb_ops;
