-- Registers a FIX session with a venue, which a gateway opens at once.
-- p_settings: columns of oms.fix_sessions; the target is the venue's name unless it says otherwise.
-- Doing it again with the same settings changes nothing; with others it raises TT006, see
-- oms.configure_fix_session. Errors: TT001 a name or setting that cannot be; TT002 unknown venue.
create or replace function oms.add_fix_session(p_fix_session text, p_venue text, p_settings jsonb default '{}')
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_row oms.fix_sessions;
    v_venue_id integer;
begin
    perform ops._audit('oms.add_fix_session', p_fix_session,
        jsonb_build_object('venue', p_venue, 'settings', p_settings));
    select venue_id into v_venue_id from ref.venues where venue = p_venue;
    if not found then
        raise exception 'venue "%" does not exist', p_venue using errcode = 'TT002';
    elsif p_fix_session ~ '^[A-Za-z0-9_.-]{1,48}$' is not true then
        raise exception 'FIX session "%" cannot be a name: use up to 48 letters, digits, _, . and -', p_fix_session
            using errcode = 'TT001';
    end if;
    select * into v_row from oms.fix_sessions where fix_session = p_fix_session;
    if not found then
        -- Inactive until its settings are checked: a venue has one active order session.
        insert into oms.fix_sessions (fix_session, venue_id, sender, target, version, status)
        values (p_fix_session, v_venue_id, coalesce(p_settings->>'sender', 'TSDB'),
            coalesce(p_settings->>'target', p_venue), coalesce(p_settings->>'version', 'FIX.4.4'), 'inactive');
        perform oms.configure_fix_session(p_fix_session, '{"status": "active"}' || p_settings);
    elsif v_row.venue_id <> v_venue_id
        or jsonb_populate_record(v_row, p_settings) is distinct from v_row then
        raise exception 'FIX session % exists with other settings: choose another name or change it with oms.configure_fix_session',
            p_fix_session using errcode = 'TT006';
    end if;
exception
    when unique_violation then
        raise exception 'FIX session %: another one has the same version, sender and target', p_fix_session
            using errcode = 'TT001';
    when check_violation or invalid_text_representation or numeric_value_out_of_range then
        raise exception 'FIX session %: %', p_fix_session, sqlerrm using errcode = 'TT001';
end
$$;
comment on function oms.add_fix_session(text, text, jsonb) is
    'Registers a FIX session with a venue, which a gateway opens at once; p_settings: columns of oms.fix_sessions. Errors: TT001 unusable name or setting, TT002 unknown venue, TT006 exists with other settings.';
grant execute on function oms.add_fix_session(text, text, jsonb) to tsdb_ops;
