-- Row trigger of the base tables: notes single ticks changed or deleted.
create or replace function market._note_changed_tick()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_ts timestamptz;
    v_note text;
begin
    foreach v_ts in array
        case tg_op when 'DELETE' then array[old.ts] else array[old.ts, new.ts] end
    loop
        -- Rows of a statement mostly share a minute with the one before: note it once.
        v_note := tg_table_name || ' ' || pg_current_xact_id()::text || ' '
            || date_trunc('minute', v_ts)::text;
        if current_setting('tsdb_trader.noted_tick', true) is distinct from v_note then
            perform market.invalidate_rollups(
                tg_argv[0]::regclass, date_trunc('minute', v_ts),
                date_trunc('minute', v_ts) + interval '1 minute' - interval '1 microsecond');
            perform set_config('tsdb_trader.noted_tick', v_note, true);
        end if;
    end loop;
    return null;
end
$$;
