-- The keys under which limits and states that cover an order are found: one per shape of scope in use, null
-- where the order lacks an attribute of the shape. The columns scope_key hold the same of a scope.
create or replace function risk._scope_keys(p_order risk.order_request)
returns text[]
-- plpgsql, because a function in language sql is planned again at every call.
language plpgsql
stable
as $$
begin
    return array(
        select case when s.by_session then p_order.session_id::text else '' end || chr(31)
            || case when s.by_account then p_order.account else '' end || chr(31)
            || case when s.by_strategy then p_order.strategy else '' end || chr(31)
            || case when s.by_symbol then p_order.symbol else '' end || chr(31)
            || case when s.by_venue then p_order.venue else '' end || chr(31)
            || case when s.by_sector then p_order.sector else '' end
        from risk._shapes s);
end
$$;
comment on function risk._scope_keys(risk.order_request) is
    'The keys under which limits and states that cover an order are found.';
