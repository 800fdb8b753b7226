-- What limits and halts of which scope apply to an order: those its attributes contain.
create or replace function risk._scope(p_order risk.order_request)
returns jsonb
-- plpgsql, because a function in language sql is planned again at every call.
language plpgsql
immutable
as $$
begin
    return jsonb_build_object(
        'session_id', p_order.session_id, 'account', p_order.account,
        'strategy', p_order.strategy, 'symbol', p_order.symbol, 'venue', p_order.venue,
        'sector', p_order.sector);
end
$$;
comment on function risk._scope(risk.order_request) is 'The attributes of an order that scopes are matched with.';
