-- What data a run reads: the batches of a session, or the sources of a feed with their rows.
create or replace function backtest._data_watermark(p_run jsonb, p_from timestamptz, p_to timestamptz)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select case p_run->>'source'
        when 'session' then (
            select jsonb_build_object(
                'batches', count(*), 'last_batch_no', max(b.batch_no),
                'digest', mod(coalesce(sum(b.digest), 0), 9223372036854775807)::bigint)
            from market.batches b where b.session_id = (p_run->>'session_id')::uuid)
        else (
            select coalesce(jsonb_agg(
                jsonb_build_object('source_id', s.source_id, 'name', s.name, 'next_row', s.next_row)
                order by s.source_id), '[]')
            from market.sources s join ops.feeds f using (feed_id)
            where f.feed = p_run->>'feed' and s.last_ts > p_from and s.first_ts <= p_to)
        end
$$;
comment on function backtest._data_watermark(jsonb, timestamptz, timestamptz) is
    'Which data a backtest reads.';
