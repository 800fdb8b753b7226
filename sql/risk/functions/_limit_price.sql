-- The limit of an order that is to trade at once: the adverse quote of a session and so many basis points
-- beyond it, rounded outwards to the tick. Null without a quote.
create or replace function risk._limit_price(
    p_session_id uuid,
    p_instrument_id integer,
    p_is_buy boolean,
    p_offset_bps numeric,
    p_as_of timestamptz
) returns numeric
language plpgsql
stable
as $$
declare
    v_price numeric;
    v_tick numeric;
begin
    select case when p_is_buy then q.ask_price else q.bid_price end / i.price_unit::numeric
        * (1 + case when p_is_buy then p_offset_bps else -p_offset_bps end / 10000)
    into v_price
    from market.latest_quotes q
    join ref.instruments i using (instrument_id)
    where q.session_id = p_session_id and q.instrument_id = p_instrument_id;
    if v_price is null then
        return null;
    end if;
    v_tick := ref.tick_size(p_instrument_id, v_price, (p_as_of at time zone 'UTC')::date);
    -- No price is below one tick.
    return v_tick * case when p_is_buy then ceil(v_price / v_tick) else greatest(floor(v_price / v_tick), 1) end;
end
$$;
comment on function risk._limit_price(uuid, integer, boolean, numeric, timestamptz) is
    'Limit price of an order that is to trade at once.';
