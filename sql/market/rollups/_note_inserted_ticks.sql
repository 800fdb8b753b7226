-- Statement trigger of the base tables: notes ticks inserted by hand, by the days (chunks) that they
-- went to, as nobody says which rows they are. Writers in bulk note their range instead
-- (market.invalidate_rollups) and say so with set_config('tsdb_trader.ranges_noted', 'on', true), which
-- keeps this trigger from firing. A trigger for each row would cost their COPY 10% even so, one with
-- transition tables 40%.
create or replace function market._note_inserted_ticks()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_chunk record;
    v_note text;
begin
    for v_chunk in
        select c.range_start, c.range_end
        from timescaledb_information.chunks c
        where c.hypertable_schema = tg_table_schema and c.hypertable_name = tg_table_name
            -- Counts of this transaction, and of those just before it; without them it may be any.
            and (not current_setting('track_counts')::boolean
                or pg_stat_get_xact_tuples_inserted(
                    format('%I.%I', c.chunk_schema, c.chunk_name)::regclass) > 0)
        order by c.range_start
    loop
        -- Statements of a transaction mostly go to the chunk of the one before: note it once.
        v_note := tg_table_name || ' ' || pg_current_xact_id()::text || ' ' || v_chunk.range_start;
        if current_setting('tsdb_trader.noted_chunk', true) is distinct from v_note then
            perform market.invalidate_rollups(
                tg_relid::regclass, v_chunk.range_start,
                v_chunk.range_end - interval '1 microsecond');
            perform set_config('tsdb_trader.noted_chunk', v_note, true);
        end if;
    end loop;
    return null;
end
$$;
