-- The time of the first tick of the session's feed after p_after, up to the session's to_ts; null
-- when there is none. For replayers, to skip what is empty.
create or replace function market.next_tick_ts(p_session_id uuid, p_after timestamptz)
returns timestamptz
language plpgsql
stable
as $$
declare
    v_feed_id integer;
    v_to_ts timestamptz;
    v_next timestamptz;
begin
    -- Times in variables let the planner leave out the other chunks.
    select o.feed_id, coalesce(o.to_ts, 'infinity') into v_feed_id, v_to_ts
    from ops.sessions o where o.session_id = p_session_id;
    select min(first_tick.ts) into v_next
    from market.sources s
    cross join lateral (
        (select q.ts from market._quotes q
         where s.kind = 'quotes' and q.instrument_id = s.instrument_id
             and q.source_id = s.source_id and q.ts > p_after and q.ts <= v_to_ts
         order by q.ts limit 1)
        union all
        (select t.ts from market._trades t
         where s.kind = 'trades' and t.instrument_id = s.instrument_id
             and t.source_id = s.source_id and t.ts > p_after and t.ts <= v_to_ts
         order by t.ts limit 1)
    ) first_tick
    where s.feed_id = v_feed_id and s.last_ts > p_after and s.first_ts <= v_to_ts;
    return v_next;
end
$$;
comment on function market.next_tick_ts(uuid, timestamptz) is
    'Time of the first tick of a session''s feed after p_after, up to its to_ts; null when there is none.';
grant execute on function market.next_tick_ts(uuid, timestamptz) to tsdb_worker_replay;
