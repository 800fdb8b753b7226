-- Row trigger: notes ticks changed or taken away after they were stored. Ticks stored by other means
-- than a source's writer are not seen: market.refresh_quality can be told their days.
create or replace function market._note_quality_by_hand()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_note text := concat_ws(' ', old.feed_id, old.instrument_id, market._quality_day(old.ts),
                             pg_current_xact_id());
begin
    -- Rows of a statement are mostly of one instrument and day: note it once. No tick is moved to
    -- another day, so the old row says enough.
    if current_setting('tsdb_trader.noted_quality', true) is distinct from v_note then
        perform market._note_quality(
            old.feed_id, array[old.instrument_id], array[old.ts], array[old.ts]);
        perform set_config('tsdb_trader.noted_quality', v_note, true);
    end if;
    return null;
end
$$;
create or replace trigger note_quality after update or delete on market._quotes
for each row execute function market._note_quality_by_hand();
create or replace trigger note_quality after update or delete on market._trades
for each row execute function market._note_quality_by_hand();
create or replace trigger note_quality after update or delete on market._book_events
for each row execute function market._note_quality_by_hand();
