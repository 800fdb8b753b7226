-- Takes a restriction off the list. False: it was off. Errors: TT001 no reason; TT002 unknown restriction.
create or replace function risk.unrestrict(p_restriction_id bigint, p_reason text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_found risk.restrictions;
begin
    perform ops._audit('risk.unrestrict', p_restriction_id::text,
        '{}', p_reason);
    perform risk._require_reason(p_reason, 'lifting a restriction');
    select * into v_found from risk.restrictions r where r.restriction_id = p_restriction_id for update;
    if not found then
        raise exception 'restriction % does not exist', coalesce(p_restriction_id::text, 'null') using errcode = 'TT002';
    end if;
    if v_found.lifted_at is not null then
        return false;
    end if;
    update risk.restrictions r
    set lifted_at = clock_timestamp(), lifted_by = session_user, lift_reason = p_reason
    where r.restriction_id = p_restriction_id;
    return true;
end
$$;
comment on function risk.unrestrict(bigint, text) is
    'Takes a restriction off the list; false: it was off. Errors: TT001 no reason, TT002 unknown restriction.';
grant execute on function risk.unrestrict(bigint, text) to tsdb_risk;
