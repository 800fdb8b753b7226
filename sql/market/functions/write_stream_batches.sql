-- Hands the open live and paper sessions of a feed its ticks up to p_watermark, as batches on each
-- session's grid of batch_interval, exactly as a replay of the same ticks would get them; returns
-- how many batches. The feeds worker calls it in the transaction that stored the ticks.
--
-- A session starts at its from_ts, or when it was opened. A batch is written once the watermark has
-- passed its end, because a tick of the very same time may still come; p_quiet, when nothing has
-- come for a while, hands over the rest up to the watermark. Intervals without ticks are skipped.
-- A watermark ahead of the clock is held back to it, so that one wrong time cannot make everything
-- after it late. At most p_limit batches per call: call again while it returns that many.
create or replace function market.write_stream_batches(
    p_feed_id integer,
    p_watermark timestamptz,
    p_quiet boolean default false,
    p_limit integer default 1000
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watermark timestamptz := least(p_watermark, clock_timestamp());
    v_session record;
    v_from timestamptz;
    v_to timestamptz;
    v_next timestamptz;
    v_count integer := 0;
begin
    -- Session by session and batch by batch: each batch starts where the one before it ended.
    for v_session in
        select s.session_id, s.batch_interval, coalesce(s.to_ts, 'infinity') as to_ts,
               coalesce(s.from_ts, s.opened_at) as start, b.as_of
        from ops.sessions s
        left join lateral (
            select b.as_of from market.batches b
            where b.session_id = s.session_id order by b.batch_no desc limit 1) b on true
        where s.feed_id = p_feed_id and s.status = 'open' and s.kind in ('live', 'paper')
        order by s.session_id
    loop
        v_from := coalesce(v_session.as_of, v_session.start);
        while v_count < p_limit and v_from < least(v_watermark, v_session.to_ts) loop
            v_to := least(v_session.to_ts, v_session.batch_interval
                + date_bin(v_session.batch_interval, v_from, v_session.start));
            if v_to >= v_watermark then
                exit when not p_quiet;
                v_to := least(v_to, v_watermark);
            end if;
            if market.write_batch(v_session.session_id, v_from, v_to) is not null then
                v_count := v_count + 1;
                v_from := v_to;
            else
                v_next := market.next_tick_ts(v_session.session_id, v_to);
                exit when v_next is null or v_next > v_watermark;
                v_from := greatest(v_to, date_bin(
                    v_session.batch_interval, v_next - interval '1 microsecond', v_session.start));
            end if;
        end loop;
    end loop;
    return v_count;
end
$$;
comment on function market.write_stream_batches(integer, timestamptz, boolean, integer) is
    'Hands the open live and paper sessions of a feed its ticks up to a watermark; returns how many batches.';
grant execute on function market.write_stream_batches(integer, timestamptz, boolean, integer)
    to tsdb_worker_feeds;
