-- Changes some settings of a venue: p_settings has columns of venue.settings by name. Its process reads
-- them when it starts.
-- Errors: TT002 no such venue; TT001 no such setting, or a value it cannot have.
create or replace function venue.configure(p_venue text, p_settings jsonb)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unknown text;
    v_row venue._settings;
begin
    perform ops._audit('venue.configure', p_venue, jsonb_build_object('settings', p_settings));
    perform venue._check_venue(p_venue);
    if jsonb_typeof(p_settings) is distinct from 'object' then
        raise exception 'the settings of venue % are no JSON object', p_venue using errcode = 'TT001';
    end if;
    select string_agg(k, ', ') into v_unknown
    from jsonb_object_keys(p_settings) k
    where k in ('venue', 'updated_at') or k not in (
        select a.attname from pg_attribute a
        where a.attrelid = 'venue._settings'::regclass and a.attnum > 0 and not a.attisdropped);
    if v_unknown is not null then
        raise exception 'venues have no setting %: see venue.settings', v_unknown
            using errcode = 'TT001';
    end if;
    select * into strict v_row from venue._settings s where s.venue = p_venue for update;
    v_row := jsonb_populate_record(v_row, p_settings);
    update venue._settings s set
        matching = v_row.matching, self_trade = v_row.self_trade, static_band = v_row.static_band,
        dynamic_band = v_row.dynamic_band, minimum_share = v_row.minimum_share,
        top_order = v_row.top_order, opening_auction = v_row.opening_auction,
        opens_at = v_row.opens_at, closing_auction = v_row.closing_auction,
        closes_at = v_row.closes_at, calendar = v_row.calendar,
        throttle_messages = v_row.throttle_messages, throttle_mode = v_row.throttle_mode,
        cancel_on_disconnect = v_row.cancel_on_disconnect, latency_ms = v_row.latency_ms,
        pending_ms = v_row.pending_ms, maker_fee = v_row.maker_fee, taker_fee = v_row.taker_fee,
        updated_at = clock_timestamp()
    where s.venue = p_venue;
exception
    when foreign_key_violation then
        raise exception 'no calendar of %: load it with `tsdb-trader ref calendar`', v_row.calendar
            using errcode = 'TT001';
    when check_violation or not_null_violation or data_exception then
        raise exception 'venue % cannot have these settings: %', p_venue, sqlerrm
            using errcode = 'TT001';
end
$$;
comment on function venue.configure(text, jsonb) is
    'Changes settings of a simulated venue, which its process reads when it starts.';
grant execute on function venue.configure(text, jsonb) to tsdb_ops;
