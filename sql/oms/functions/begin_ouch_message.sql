-- Takes a sequenced message of an OUCH port and moves the resume point behind it: called first in
-- the transaction that acts on the message. False when it was taken before.
-- Errors: TT001 messages before it are missing; TT002 unknown port.
create or replace function oms.begin_ouch_message(p_port text, p_soup_session text, p_sequence bigint)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_port oms.ouch_ports;
begin
    select p.* into v_port from oms.ouch_ports p where p.port = p_port for update;
    if not found then
        raise exception 'port "%" does not exist', p_port using errcode = 'TT002';
    end if;
    if v_port.soup_session not in ('', p_soup_session) then
        v_port.next_sequence := 1;
    end if;
    if p_sequence < v_port.next_sequence then
        return false;
    end if;
    if p_sequence > v_port.next_sequence then
        raise exception 'port %: message % came, % was to come', p_port, p_sequence, v_port.next_sequence
            using errcode = 'TT001';
    end if;
    update oms.ouch_ports p set soup_session = p_soup_session, next_sequence = p_sequence + 1
    where p.port = p_port;
    return true;
end
$$;
comment on function oms.begin_ouch_message(text, text, bigint) is
    'Takes a sequenced OUCH message once, and moves the resume point behind it.';
grant execute on function oms.begin_ouch_message(text, text, bigint) to tsdb_worker_gateway;
