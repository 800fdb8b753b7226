-- Reads the changes of a replace: the order as it is to be. Errors: TT001 a key that is unknown, that
-- an order of its type does not have, or whose value is of no use.
create or replace function oms._read_changes(p_order oms.orders, p_changes jsonb)
returns oms.orders
language plpgsql
stable
as $$
declare
    v_known constant text[] := array['quantity', 'limit_price', 'stop_price', 'peg_offset',
        'display_quantity', 'expire_at'];
    v_key text;
    v_value text;
    v_terms oms.orders := p_order;
begin
    if p_changes is null or jsonb_typeof(p_changes) <> 'object' or p_changes = '{}' then
        raise exception 'changes are a JSON object with at least one of %', array_to_string(v_known, ', ')
            using errcode = 'TT001';
    end if;
    -- The latest unanswered replace is what further changes start from.
    select coalesce(a.quantity, p_order.quantity), coalesce(a.limit_price, p_order.limit_price),
        coalesce(a.stop_price, p_order.stop_price), coalesce(a.peg_offset, p_order.peg_offset),
        coalesce(a.display_quantity, p_order.display_quantity), coalesce(a.expire_at, p_order.expire_at)
    into v_terms.quantity, v_terms.limit_price, v_terms.stop_price, v_terms.peg_offset,
        v_terms.display_quantity, v_terms.expire_at
    from (select) none
    left join lateral (
        select * from oms.order_actions a
        where a.order_id = p_order.order_id and a.kind = 'replace' and a.status in ('pending', 'sent')
        order by a.action_id desc limit 1) a on true;
    for v_key, v_value in select k, v from jsonb_each_text(p_changes) as t (k, v) loop
        case
            when v_key <> all (v_known) then
                raise exception 'change "%" is unknown: use %', v_key, array_to_string(v_known, ', ')
                    using errcode = 'TT001';
            when v_value is null then
                raise exception 'change "%" has no value', v_key using errcode = 'TT001';
            when v_key = 'quantity' then v_terms.quantity := v_value;
            when v_key = 'limit_price' then v_terms.limit_price := v_value;
            when v_key = 'stop_price' then v_terms.stop_price := v_value;
            when v_key = 'peg_offset' then v_terms.peg_offset := v_value;
            when v_key = 'display_quantity' then v_terms.display_quantity := v_value;
            else v_terms.expire_at := v_value;
        end case;
    end loop;
    v_key := null;
    perform risk._check_terms(risk._restate_order(v_terms));
    return v_terms;
exception
    when invalid_text_representation or numeric_value_out_of_range or invalid_datetime_format
        or datetime_field_overflow then
        raise exception 'change "%" has the unusable value "%"', v_key, v_value using errcode = 'TT001';
end
$$;
comment on function oms._read_changes(oms.orders, jsonb) is 'Reads and checks the changes of a replace.';
