-- Records runs of sequence numbers that a stream is missing (p_first[n] to p_last[n]), and marks
-- runs that came after all as filled; a gap filled in part is split.
create or replace function market.note_gaps(
    p_source_id integer,
    p_first bigint[],
    p_last bigint[],
    p_filled_first bigint[],
    p_filled_last bigint[]
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_filled record;
begin
    insert into market.gaps (feed_id, source_id, first_missing, last_missing)
    select s.feed_id, s.source_id, g.first, g.last
    from unnest(p_first, p_last) g (first, last)
    join market.sources s on s.source_id = p_source_id;
    -- One by one, because each may split what the one before it left.
    for v_filled in select * from unnest(p_filled_first, p_filled_last) f (first, last) loop
        with met as (
            delete from market.gaps g
            where g.source_id = p_source_id and g.filled_at is null
                and g.first_missing <= v_filled.last and g.last_missing >= v_filled.first
            returning g.*
        )
        insert into market.gaps
            (feed_id, source_id, first_missing, last_missing, detected_at, filled_at)
        select m.feed_id, m.source_id, r.first, r.last, m.detected_at,
               case when r.filled then clock_timestamp() end
        from met m
        cross join lateral (values
            (m.first_missing, v_filled.first - 1, false),
            (greatest(m.first_missing, v_filled.first), least(m.last_missing, v_filled.last), true),
            (v_filled.last + 1, m.last_missing, false)) r (first, last, filled)
        where r.first <= r.last;
    end loop;
end
$$;
comment on function market.note_gaps(integer, bigint[], bigint[], bigint[], bigint[]) is
    'Records runs of missing sequence numbers of a source, and those that came after all.';
grant execute on function market.note_gaps(integer, bigint[], bigint[], bigint[], bigint[])
    to tsdb_worker_feeds;
