-- Arms a fault, which the venue has once, as soon as there is occasion for it. Returns fault_no.
-- p_kind and its parameters, all optional; `participant` confines each to one CompID:
--   delay_ack (milliseconds: 1000)  the next answer to a new order, cancel or replacement comes late
--   drop (after: 1)                 the connection is cut after so many executions of one order
--   duplicate (count: 1)            the next executions are sent twice, with the same ExecID
--   reorder                         the next two executions are sent the wrong way round
--   bust                            the next execution is taken back after it was sent
--   cancel                          the next order that rests is cancelled without being asked
--   gap (numbers: 1)                sequence numbers are left out
--   lost_state                      the venue forgets its sequence numbers and disconnects
--   logout (text, milliseconds: 1000)   the session is logged out, and kept out so long
--   silence                         nothing is said, no heartbeat either, until the participant
--                                   gives the connection up
-- Errors: TT002 no such venue; TT001 no such fault.
create or replace function venue.inject_fault(
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
    v_fault_no bigint;
begin
    perform ops._audit('venue.inject_fault', p_venue,
        jsonb_build_object('kind', p_kind, 'parameters', p_parameters));
    perform venue._check_venue(p_venue);
    if p_kind in ('delay_ack', 'drop', 'duplicate', 'reorder', 'bust', 'cancel', 'gap', 'lost_state',
        'logout', 'silence') is not true
    then
        raise exception 'a venue knows no fault "%"', p_kind using errcode = 'TT001';
    elsif jsonb_typeof(p_parameters) is distinct from 'object' then
        raise exception 'the parameters of % are no JSON object', p_kind using errcode = 'TT001';
    end if;
    insert into venue._faults (venue, kind, parameters) values (p_venue, p_kind, p_parameters)
    returning fault_no into v_fault_no;
    perform pg_notify('venue_commands', p_venue);
    return v_fault_no;
end
$$;
comment on function venue.inject_fault(text, text, jsonb) is
    'Lets a simulated venue misbehave once: delays, drops, duplicates, gaps, silence; returns fault_no.';
grant execute on function venue.inject_fault(text, text, jsonb) to tsdb_ops;
