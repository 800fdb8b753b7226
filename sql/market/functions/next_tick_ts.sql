-- The time of the first tick of the session's feed after p_after, up to the session's to_ts; null
-- when there is none. For replayers, to skip what is empty.
create or replace function market.next_tick_ts(p_session_id uuid, p_after timestamptz)
returns timestamptz
language sql
stable
as $$
    select min(first_tick.ts)
    from ops.sessions o
    join market.sources s
        on s.feed_id = o.feed_id and s.last_ts > p_after
        and (o.to_ts is null or s.first_ts <= o.to_ts)
    cross join lateral (
        (select q.ts from market._quotes q
         where s.kind = 'quotes' and q.instrument_id = s.instrument_id
             and q.source_id = s.source_id and q.ts > p_after and q.ts <= s.last_ts
         order by q.ts limit 1)
        union all
        (select t.ts from market._trades t
         where s.kind = 'trades' and t.instrument_id = s.instrument_id
             and t.source_id = s.source_id and t.ts > p_after and t.ts <= s.last_ts
         order by t.ts limit 1)
    ) first_tick
    where o.session_id = p_session_id and (o.to_ts is null or first_tick.ts <= o.to_ts)
$$;
comment on function market.next_tick_ts(uuid, timestamptz) is
    'Time of the first tick of a session''s feed after p_after, up to its to_ts; null when there is none.';
grant execute on function market.next_tick_ts(uuid, timestamptz) to tsdb_worker;
