-- The ClOrdID of an action: the installation's prefix keeps databases apart that count alike.
create or replace function oms._cl_ord_id(p_action_id bigint)
returns text
language plpgsql
stable
as $$
begin
    return (select prefix from ops.installation) || '-' || p_action_id;
end
$$;
comment on function oms._cl_ord_id(bigint) is 'ClOrdID of an action.';
