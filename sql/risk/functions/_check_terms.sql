-- Refuses terms that no venue could carry out, of a new order or of a replaced one. Errors: TT001.
create or replace function risk._check_terms(p_order risk.order_request)
returns void
language plpgsql
stable
as $$
declare
    v_waits constant boolean := p_order.time_in_force in ('day', 'gtc', 'gtd');
    v_problem text;
begin
    -- NaN is greater than infinity in numeric, so one comparison refuses both.
    v_problem := case
        when not (p_order.quantity > 0 and p_order.quantity < 'infinity') then
            format('quantity %s is not a positive number', p_order.quantity)
        when not (p_order.limit_price > 0 and p_order.limit_price < 'infinity') then
            format('limit_price %s is not a positive number', p_order.limit_price)
        when not (p_order.stop_price > 0 and p_order.stop_price < 'infinity') then
            format('stop_price %s is not a positive number', p_order.stop_price)
        when not (p_order.display_quantity > 0 and p_order.display_quantity < 'infinity') then
            format('display_quantity %s is not a positive number', p_order.display_quantity)
        when not (p_order.min_quantity > 0 and p_order.min_quantity < 'infinity') then
            format('min_quantity %s is not a positive number', p_order.min_quantity)
        when p_order.side not in ('buy', 'sell', 'sell_short') then
            format('side "%s" is none of buy, sell, sell_short', p_order.side)
        when p_order.order_type not in ('market', 'limit', 'stop', 'stop_limit', 'pegged') then
            format('order_type "%s" is none of market, limit, stop, stop_limit, pegged', p_order.order_type)
        when p_order.time_in_force not in ('day', 'gtc', 'gtd', 'ioc', 'fok', 'at_open', 'at_close') then
            format('time_in_force "%s" is none of day, gtc, gtd, ioc, fok, at_open, at_close', p_order.time_in_force)
        when p_order.order_type in ('limit', 'stop_limit') and p_order.limit_price is null then
            format('a %s order needs limit_price', p_order.order_type)
        when p_order.order_type in ('market', 'stop') and p_order.limit_price is not null then
            format('a %s order has no limit_price', p_order.order_type)
        when p_order.order_type in ('stop', 'stop_limit') and p_order.stop_price is null then
            format('a %s order needs stop_price', p_order.order_type)
        when p_order.order_type not in ('stop', 'stop_limit') and p_order.stop_price is not null then
            format('stop_price needs a stop order, and order_type is "%s"', p_order.order_type)
        when p_order.order_type = 'pegged' and p_order.peg_reference is null then
            'a pegged order needs peg_reference: primary, midpoint or market'
        when p_order.peg_reference not in ('primary', 'midpoint', 'market') then
            format('peg_reference "%s" is none of primary, midpoint, market', p_order.peg_reference)
        when p_order.order_type <> 'pegged' and num_nonnulls(p_order.peg_reference, p_order.peg_offset) > 0 then
            'peg_reference and peg_offset need order_type "pegged"'
        when not coalesce(p_order.peg_offset > '-infinity' and p_order.peg_offset < 'infinity', true) then
            format('peg_offset %s is not a number', p_order.peg_offset)
        when (p_order.time_in_force = 'gtd') <> (p_order.expire_at is not null) then
            'expire_at and time_in_force "gtd" need each other'
        when p_order.expire_at in ('infinity', '-infinity') then
            'expire_at is a time: use time_in_force "gtc" for no end'
        when p_order.order_type in ('stop', 'stop_limit') and not v_waits then
            format('a %s order waits: time_in_force is day, gtc or gtd', p_order.order_type)
        when p_order.order_type = 'pegged' and p_order.time_in_force in ('at_open', 'at_close') then
            'a pegged order has no place in an auction'
        when p_order.post_only and not (v_waits and p_order.order_type in ('limit', 'pegged')) then
            'post_only needs a limit or pegged order that waits'
        when p_order.display_quantity is not null
            and not (v_waits and p_order.order_type in ('limit', 'stop_limit', 'pegged')) then
            'display_quantity needs an order with a price that waits'
        when p_order.display_quantity > p_order.quantity then
            'display_quantity is more than quantity'
        when p_order.min_quantity > p_order.quantity then
            'min_quantity is more than quantity'
        when p_order.post_only and p_order.min_quantity is not null then
            'post_only and min_quantity exclude each other'
        when p_order.is_parent and (p_order.post_only or p_order.reduce_only
            or num_nonnulls(p_order.display_quantity, p_order.min_quantity) > 0) then
            'a parent order has no instructions to a venue'
        when jsonb_typeof(p_order.tags) <> 'object' then
            format('tags is a JSON object, not %s', jsonb_typeof(p_order.tags))
        when length(p_order.trader) not between 1 and 64 or length(p_order.client_ref) not between 1 and 128 then
            'trader has 1 to 64 characters, client_ref 1 to 128'
        when trim(p_order.operator) = '' then
            'operator is a name, not blank'
    end;
    if v_problem is not null then
        raise exception '%', v_problem using errcode = 'TT001';
    end if;
end
$$;
comment on function risk._check_terms(risk.order_request) is 'Refuses terms that no venue could carry out.';
