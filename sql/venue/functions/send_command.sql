-- Asks something of a venue; its process acts at once, or when it runs again. Returns command_no, under
-- which venue.commands later shows the result.
-- p_kind: halt, resume, auction, uncross (parameters: symbol, without it all that the venue has books of);
-- cancel, suspend, release, stop, restate, done_for_day (parameters: cl_ord_id, participant if several
-- have one; restate also quantity, limit_price); bust (exec_id); correct (exec_id, quantity, price).
-- Errors: TT002 no such venue; TT001 no such command.
create or replace function venue.send_command(
    p_venue text,
    p_kind text,
    p_parameters jsonb default '{}'
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_command_no bigint;
begin
    perform ops._audit('venue.send_command', p_venue,
        jsonb_build_object('kind', p_kind, 'parameters', p_parameters));
    perform venue._check_venue(p_venue);
    if p_kind in ('halt', 'resume', 'auction', 'uncross', 'cancel', 'suspend', 'release', 'stop',
        'restate', 'done_for_day', 'bust', 'correct') is not true
    then
        raise exception 'a venue knows no command "%"', p_kind using errcode = 'TT001';
    elsif jsonb_typeof(p_parameters) is distinct from 'object' then
        raise exception 'the parameters of % are no JSON object', p_kind using errcode = 'TT001';
    end if;
    insert into venue._commands (venue, kind, parameters) values (p_venue, p_kind, p_parameters)
    returning command_no into v_command_no;
    perform pg_notify('venue_commands', p_venue);
    return v_command_no;
end
$$;
comment on function venue.send_command(text, text, jsonb) is
    'Asks a simulated venue to halt, resume, hold an auction, cancel, bust and so on; returns command_no.';
grant execute on function venue.send_command(text, text, jsonb) to tsdb_ops;
