-- Drops chunks that market.retention keeps no longer at p_as_of, the oldest first: those whose rows
-- and whose loading are both older, up to the first with rows that a rollup has not materialised
-- (which is left for the next run). For the scheduler. Per hypertable with a limit: how many chunks
-- were dropped, whether some wait for a rollup, and before which time rows are gone. Books live on:
-- they get snapshots at the time before which their events go.
create or replace function market.apply_retention(p_as_of timestamptz)
returns table (hypertable text, dropped integer, waits boolean, dropped_before timestamptz)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_rule market.retention;
    v_chunk record;
    v_until timestamptz;
begin
    perform ops._audit('market.apply_retention', null, jsonb_build_object('as_of', p_as_of));
    for v_rule in select r.* from market.retention r where r.keep is not null order by 1 for update
    loop
        hypertable := v_rule.hypertable;
        dropped := 0;
        waits := false;
        v_until := null;
        -- One by one, because the first that has to stay ends it.
        for v_chunk in
            select s.chunk, c.range_start, c.range_end, c.chunk_creation_time
            from public.show_chunks(v_rule.hypertable::regclass) s (chunk)
            join timescaledb_information.chunks c
                on format('%I.%I', c.chunk_schema, c.chunk_name)::regclass = s.chunk
            order by c.range_start
        loop
            exit when greatest(v_chunk.range_end, v_chunk.chunk_creation_time)
                > p_as_of - v_rule.keep;
            waits := v_chunk.range_end > coalesce(v_rule.dropped_before, '-infinity')
                and market._awaits_rollup(
                    v_rule.hypertable, v_chunk.chunk, v_chunk.range_start, v_chunk.range_end);
            exit when waits;
            v_until := v_chunk.range_end;
            dropped := dropped + 1;
        end loop;
        if v_until is not null then
            if v_rule.hypertable = 'market._book_events' then
                perform market._carry_books(v_until);
            end if;
            perform public.drop_chunks(v_rule.hypertable::regclass, older_than => v_until);
            update market.retention r
            set dropped_before = greatest(r.dropped_before, v_until)
            where r.hypertable = v_rule.hypertable;
        end if;
        dropped_before := greatest(v_rule.dropped_before, v_until);
        if dropped_before is not null then
            perform market._bound_policies(v_rule.hypertable, dropped_before);
        end if;
        return next;
    end loop;
end
$$;
comment on function market.apply_retention(timestamptz) is
    'Drops chunks that are kept no longer and are in all bars; for the scheduler.';
grant execute on function market.apply_retention(timestamptz) to tsdb_worker_scheduler, tsdb_ops;
