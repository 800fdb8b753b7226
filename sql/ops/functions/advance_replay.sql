-- Writes the next batch of a replay session if it is due, and says what it did:
--   batch    a batch was written;
--   waiting  lock-step: the last batch is not consumed, or an order waits for its venue;
--   early    the next batch is later than p_until, the session time its pace allows (null: any);
--   end      no tick is left in the window: call ops.finish_session;
--   closed   the session is not open.
-- Intervals without ticks are skipped. Its only memory is market.batches.
-- The commit does not wait for the disk: the log is written in order, so nothing that this batch
-- causes can be durable without it, and a batch lost with the server is written again as it was.
-- Errors: TT002 unknown session.
create or replace function ops.advance_replay(p_session_id uuid, p_until timestamptz default null)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_session ops.sessions;
    v_last market.batches;
    v_from timestamptz;
    v_to timestamptz;
    v_next timestamptz;
begin
    perform set_config('synchronous_commit', 'off', true);
    select * into v_session from ops.sessions s where s.session_id = p_session_id and s.kind = 'replay';
    if not found then
        raise exception 'replay session % does not exist', p_session_id using errcode = 'TT002';
    end if;
    if v_session.status <> 'open' then
        return 'closed';
    end if;
    select * into v_last from market.batches b
    where b.session_id = p_session_id order by b.batch_no desc limit 1;
    if coalesce(v_session.parameters->>'speed', 'max') = 'max'
            and not ops._settled(p_session_id, v_last.batch_id) then
        return 'waiting';
    end if;

    v_from := coalesce(v_last.as_of, v_session.from_ts);
    v_to := least(v_from + v_session.batch_interval, v_session.to_ts);
    if v_from >= v_session.to_ts then
        return 'end';
    elsif v_to > p_until then
        return 'early';
    elsif market.write_batch(p_session_id, v_from, v_to) is not null then
        return 'batch';
    end if;

    -- Nothing there: on to the interval of the grid that holds the next tick, start excluded.
    v_next := market.next_tick_ts(p_session_id, v_to);
    if v_next is null or v_next > v_session.to_ts then
        return 'end';
    end if;
    v_from := date_bin(
        v_session.batch_interval, v_next - interval '1 microsecond', v_session.from_ts);
    v_to := least(v_from + v_session.batch_interval, v_session.to_ts);
    if v_to > p_until then
        return 'early';
    end if;
    perform market.write_batch(p_session_id, v_from, v_to);
    return 'batch';
end
$$;
comment on function ops.advance_replay(uuid, timestamptz) is
    'Writes the next due batch of a replay session; returns batch, waiting, early, end or closed.';
grant execute on function ops.advance_replay(uuid, timestamptz) to tsdb_worker_replay;
