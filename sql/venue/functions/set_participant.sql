-- Says what a venue knows of a participant: p_settings may have username, password_hash (as
-- `tsdb-trader venue participant` makes it), password_from (env:NAME or file:PATH), drop_copy and
-- cancel_on_disconnect; what is left out is unset. Its process reads them when it starts.
-- Errors: TT002 no such venue; TT001 a value that cannot be.
create or replace function venue.set_participant(
    p_venue text,
    p_participant text,
    p_settings jsonb default '{}'
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_row venue._participants;
begin
    perform ops._audit('venue.set_participant', p_venue,
        jsonb_build_object('participant', p_participant, 'settings', p_settings));
    perform venue._check_venue(p_venue);
    v_row := jsonb_populate_record(null::venue._participants, p_settings);
    insert into venue._participants (
        venue, participant, username, password_hash, password_from, drop_copy, cancel_on_disconnect)
    values (p_venue, p_participant, v_row.username, v_row.password_hash, v_row.password_from,
        coalesce(v_row.drop_copy, false), v_row.cancel_on_disconnect)
    on conflict (venue, participant) do update set
        username = excluded.username, password_hash = excluded.password_hash,
        password_from = excluded.password_from, drop_copy = excluded.drop_copy,
        cancel_on_disconnect = excluded.cancel_on_disconnect;
exception
    when check_violation or not_null_violation or data_exception then
        raise exception 'participant % cannot have these settings: %', p_participant, sqlerrm
            using errcode = 'TT001';
end
$$;
comment on function venue.set_participant(text, text, jsonb) is
    'Says what a simulated venue knows of a participant: name, password hash or where the password is, drop copy.';
grant execute on function venue.set_participant(text, text, jsonb) to tsdb_ops;
