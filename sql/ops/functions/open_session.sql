-- Opens a session; everything that trades from now on can belong to it.
-- Errors: TT002 unknown feed; TT001 a kind, window or interval that cannot be.
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
begin
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
    to tsdb_worker, tsdb_operator;
