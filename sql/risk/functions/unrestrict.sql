-- Takes a restriction off the list. False: it was off. Errors: TT001 no reason; TT002 unknown restriction.
create or replace function risk.unrestrict(p_restriction_id bigint, p_reason text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform ops._audit('risk.unrestrict', p_restriction_id::text, '{}', p_reason);
    perform risk._require_reason(p_reason, 'lifting a restriction');
    update risk.restrictions r
    set lifted_at = clock_timestamp(), lifted_by = session_user, lift_reason = p_reason
    where r.restriction_id = p_restriction_id and r.lifted_at is null;
    if not found and not exists (select from risk.restrictions r where r.restriction_id = p_restriction_id) then
        raise exception 'restriction % does not exist', coalesce(p_restriction_id::text, 'null') using errcode = 'TT002';
    end if;
    return found;
end
$$;
comment on function risk.unrestrict(bigint, text) is
    'Takes a restriction off the list; false: it was off. Errors: TT001 no reason, TT002 unknown restriction.';
grant execute on function risk.unrestrict(bigint, text) to tsdb_risk;
