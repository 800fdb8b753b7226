-- Refuses a basket whose legs depend on each other in a way that cannot work. Errors: TT001.
create or replace function oms._check_contingencies(p_orders risk.order_request[])
returns void
language plpgsql
immutable
as $$
declare
    v_order risk.order_request;
    v_trigger risk.order_request;
begin
    for v_leg in 1 .. cardinality(p_orders) loop
        v_order := p_orders[v_leg];
        if v_order.contingent_on is not null then
            v_trigger := p_orders[v_order.contingent_on];
            -- Only earlier legs, so that there is no circle.
            if v_order.contingent_on not between 1 and v_leg - 1 then
                raise exception 'leg %: contingent_on % is not an earlier leg of the basket', v_leg, v_order.contingent_on
                    using errcode = 'TT001';
            end if;
            if v_trigger.is_parent or (v_trigger.session_id, v_trigger.account) <> (v_order.session_id, v_order.account) then
                raise exception 'leg %: its trigger has to be an order to a venue of the same session and account', v_leg
                    using errcode = 'TT001';
            end if;
        end if;
        if v_order.is_parent and (v_order.oco is not null or v_order.contingent_on is not null) then
            raise exception 'leg %: a parent order cannot be contingent', v_leg using errcode = 'TT001';
        end if;
        if v_order.oco is not null and (
            select count(*) < 2 or count(distinct (o.session_id, o.account, o.contingent_on)) > 1
            from unnest(p_orders) o where o.oco = v_order.oco) then
            raise exception 'leg %: group "%" needs at least two orders of one session, account and trigger', v_leg, v_order.oco
                using errcode = 'TT001';
        end if;
    end loop;
end
$$;
comment on function oms._check_contingencies(risk.order_request[]) is 'Refuses impossible contingencies.';
