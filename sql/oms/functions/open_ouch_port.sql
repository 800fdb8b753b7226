-- Registers an OUCH port of a venue for a trading day, or finds it again with its resume point:
-- soup_session '' and next_sequence 1 on a new day. Errors: TT002 unknown venue; TT006 the port is
-- another venue's, or has gone on to a later day.
create or replace function oms.open_ouch_port(p_port text, p_venue text, p_trade_date date)
returns table (soup_session text, next_sequence bigint)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_venue_id constant integer := ref._venue_id(p_venue);
    v_port oms.ouch_ports;
begin
    insert into oms.ouch_ports (port, venue_id, trade_date) values (p_port, v_venue_id, p_trade_date)
    on conflict (port) do nothing;
    select p.* into v_port from oms.ouch_ports p where p.port = p_port for update;
    if v_port.venue_id <> v_venue_id or v_port.trade_date > p_trade_date then
        raise exception 'port % is of another venue, or open for %', p_port, v_port.trade_date
            using errcode = 'TT006';
    end if;
    if v_port.trade_date < p_trade_date then
        update oms.ouch_ports p
        set trade_date = p_trade_date, soup_session = '', next_sequence = 1, last_user_ref = 0
        where p.port = p_port;
    end if;
    return query select p.soup_session, p.next_sequence from oms.ouch_ports p where p.port = p_port;
end
$$;
comment on function oms.open_ouch_port(text, text, date) is
    'Registers an OUCH port for a trading day, or finds it again with its resume point.';
grant execute on function oms.open_ouch_port(text, text, date) to tsdb_worker_gateway;
