-- Revokes an authorisation that no order has used. False: it was revoked before.
-- Errors: TT001 no reason; TT002 unknown authorisation; TT004 an order has used it; 42501 not a person.
create or replace function risk.revoke_authorisation(p_authorisation_id bigint, p_reason text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_found risk.authorisations;
begin
    perform ops._audit('risk.revoke_authorisation', p_authorisation_id::text, '{}', p_reason);
    perform risk._require_person('revoking an authorisation');
    perform risk._require_reason(p_reason, 'revoking an authorisation');
    select * into v_found from risk.authorisations a where a.authorisation_id = p_authorisation_id for update;
    if not found then
        raise exception 'authorisation % does not exist', coalesce(p_authorisation_id::text, 'null') using errcode = 'TT002';
    end if;
    if v_found.order_id is not null then
        raise exception 'order % has used authorisation %: cancel that', v_found.order_id, p_authorisation_id
            using errcode = 'TT004';
    end if;
    if v_found.revoked_at is not null then
        return false;
    end if;
    update risk.authorisations a
    set revoked_at = clock_timestamp(), revoked_by = session_user, revoke_reason = p_reason
    where a.authorisation_id = p_authorisation_id;
    return true;
end
$$;
comment on function risk.revoke_authorisation(bigint, text) is
    'Revokes an authorisation that no order has used. Errors: TT001 no reason, TT002 unknown, TT004 used, 42501.';
grant execute on function risk.revoke_authorisation(bigint, text) to tsdb_risk;
