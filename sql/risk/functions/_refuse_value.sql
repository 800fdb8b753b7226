-- Names the key of an order whose value cannot be used. Errors: TT001, always.
create or replace function risk._refuse_value(p_order jsonb)
returns void
language plpgsql
stable
as $$
declare
    v_key text;
begin
    for v_key in select k from jsonb_object_keys(p_order) k order by k loop
        begin
            perform jsonb_populate_record(null::risk.order_request, jsonb_build_object(v_key, p_order->v_key));
        exception
            when invalid_text_representation or numeric_value_out_of_range or invalid_datetime_format
                or datetime_field_overflow then
                raise exception 'order key "%" has the unusable value "%"', v_key, p_order->>v_key
                    using errcode = 'TT001';
        end;
    end loop;
    raise exception 'the order has an unusable value' using errcode = 'TT001';
end
$$;
comment on function risk._refuse_value(jsonb) is 'Names the key of an order whose value cannot be used.';
