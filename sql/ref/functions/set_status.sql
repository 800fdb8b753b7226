-- Says whether an instrument may be traded: active, inactive (delisted), restricted or halted. It holds from now
-- on, for open sessions too, and keeps no history. Signals that would hold a position in one that is not active
-- are kept and not traded, and the control instrument denies its orders. Returns the instrument_id.
-- p_reason: kept in ops.audit. Errors: TT002 unknown symbol or status, TT001 no reason.
create or replace function ref.set_status(p_symbol text, p_status text, p_reason text)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    c_statuses constant text[] := array['active', 'inactive', 'restricted', 'halted'];
    v_id integer := ref.instrument_id(p_symbol);
begin
    perform ops._audit('ref.set_status', p_symbol, jsonb_build_object('status', p_status), p_reason);
    if (p_status = any (c_statuses)) is not true then
        raise exception 'unknown status "%"%: use %', p_status, ref._did_you_mean(p_status, c_statuses),
            array_to_string(c_statuses, ', ') using errcode = 'TT002';
    elsif coalesce(trim(p_reason), '') = '' then
        raise exception 'say why % is %', p_symbol, p_status using errcode = 'TT001';
    end if;
    update ref.instruments set status = p_status where instrument_id = v_id;
    return v_id;
end
$$;
comment on function ref.set_status(text, text, text) is
    'Says whether an instrument may be traded: active, inactive, restricted or halted; returns its id.';
grant execute on function ref.set_status(text, text, text) to tsdb_ops;
