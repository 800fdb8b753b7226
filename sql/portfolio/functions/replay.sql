-- Books fills one after the other from nothing: what positions, average price and realized P&L they give.
-- p_fills: array of objects with side (buy, sell, sell_short), quantity, price and fee (default 0).
-- p_method: average, fifo or lifo. A row per fill, n from 1: realized and fees are cumulative, realized before
-- fees; average_price is that of the open lots under fifo and lifo, 0 when flat. A fill that turns the
-- position closes it and opens the rest at its own price.
-- Errors: TT001 a fill or method of no use.
create or replace function portfolio.replay(p_fills jsonb, p_method text)
returns table (n integer, "position" numeric, average_price numeric, realized numeric, fees numeric)
language plpgsql
immutable
as $$
declare
    v_fill record;
    v_signed numeric;
    v_closed numeric;
    v_open numeric;
    v_taken numeric;
    v_cost_closed numeric;
    v_position numeric := 0;
    v_cost numeric := 0;
    v_realized numeric := 0;
    v_fees numeric := 0;
    -- Open lots, oldest first: what is left of each, and its price.
    v_lots numeric[] := '{}';
    v_prices numeric[] := '{}';
    v_first integer := 1;
    v_last integer := 0;
    v_at integer;
begin
    if p_method is null or p_method not in ('average', 'fifo', 'lifo') then
        raise exception 'p_method "%" is none of average, fifo, lifo', p_method using errcode = 'TT001';
    end if;
    -- Row by row: each fill's cost depends on the position before it.
    for v_fill in select f.* from portfolio._read_fills(p_fills) f order by f.n loop
        v_signed := case v_fill.side when 'buy' then v_fill.quantity else -v_fill.quantity end;
        v_closed := portfolio._closed(v_position, v_signed);
        if p_method = 'average' then
            v_cost_closed := portfolio._cost_closed(v_position, v_cost, v_closed);
        else
            v_cost_closed := 0;
            v_open := abs(v_closed);
            while v_open > 0 loop
                v_at := case p_method when 'fifo' then v_first else v_last end;
                v_taken := least(v_open, v_lots[v_at]);
                v_cost_closed := v_cost_closed + sign(v_position) * v_taken * v_prices[v_at];
                v_lots[v_at] := v_lots[v_at] - v_taken;
                v_open := v_open - v_taken;
                if v_lots[v_at] = 0 and p_method = 'fifo' then
                    v_first := v_first + 1;
                elsif v_lots[v_at] = 0 then
                    v_last := v_last - 1;
                end if;
            end loop;
        end if;
        v_open := v_signed + v_closed;
        if v_open <> 0 then
            v_last := v_last + 1;
            v_lots[v_last] := abs(v_open);
            v_prices[v_last] := v_fill.price;
        end if;
        v_realized := v_realized + v_closed * v_fill.price - v_cost_closed;
        v_cost := v_cost - v_cost_closed + v_open * v_fill.price;
        v_position := v_position + v_signed;
        v_fees := v_fees + v_fill.fee;
        n := v_fill.n;
        "position" := v_position;
        average_price := case when v_position = 0 then 0 else v_cost / v_position end;
        realized := v_realized;
        fees := v_fees;
        return next;
    end loop;
end
$$;
comment on function portfolio.replay(jsonb, text) is
    'Books fills from nothing by average cost, fifo or lifo: a row per fill with position, average_price, and cumulative realized (before fees) and fees. Fills: side, quantity, price, fee. Errors: TT001.';
grant execute on function portfolio.replay(jsonb, text) to tsdb_reader;
