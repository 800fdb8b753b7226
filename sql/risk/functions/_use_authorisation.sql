-- Spends an authorisation on an order. One that was spent or revoked since it was looked at is refused, and with it
-- the transaction. Errors: TT004.
create or replace function risk._use_authorisation(p_authorisation_id bigint, p_order_id bigint)
returns void
language plpgsql
as $$
begin
    update risk.authorisations a set used_at = clock_timestamp(), order_id = p_order_id
    where a.authorisation_id = p_authorisation_id and a.order_id is null and a.revoked_at is null;
    if not found then
        raise exception 'authorisation % was used or revoked meanwhile', p_authorisation_id using errcode = 'TT004';
    end if;
end
$$;
comment on function risk._use_authorisation(bigint, bigint) is 'Spends an authorisation on an order.';
