-- Withdraws a locate: what was sold against it stays sold. False: it was withdrawn before.
-- Errors: TT001 no reason; TT002 unknown locate.
create or replace function risk.withdraw_locate(p_locate_id bigint, p_reason text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform ops._audit('risk.withdraw_locate', p_locate_id::text, '{}', p_reason);
    perform risk._require_reason(p_reason, 'withdrawing a locate');
    update risk.locates l
    set withdrawn_at = clock_timestamp(), withdrawn_by = session_user, withdraw_reason = p_reason
    where l.locate_id = p_locate_id and l.withdrawn_at is null;
    if not found and not exists (select from risk.locates l where l.locate_id = p_locate_id) then
        raise exception 'locate % does not exist', coalesce(p_locate_id::text, 'null') using errcode = 'TT002';
    end if;
    return found;
end
$$;
comment on function risk.withdraw_locate(bigint, text) is
    'Withdraws a locate; false: it was withdrawn. Errors: TT001 no reason, TT002 unknown locate.';
grant execute on function risk.withdraw_locate(bigint, text) to tsdb_risk;
