-- Reads fills as portfolio.replay takes them, numbered from 1. Errors: TT001 a fill of no use, named by its number.
create or replace function portfolio._read_fills(p_fills jsonb)
returns table (n integer, side text, quantity numeric, price numeric, fee numeric)
language plpgsql
immutable
as $$
#variable_conflict use_column
declare
    v_fill jsonb;
begin
    if p_fills is null or jsonb_typeof(p_fills) <> 'array' then
        raise exception 'fills are a JSON array, not %', coalesce(jsonb_typeof(p_fills), 'null')
            using errcode = 'TT001';
    end if;
    n := 0;
    for v_fill in select f from jsonb_array_elements(p_fills) with ordinality as t (f, place) order by place loop
        n := n + 1;
        if jsonb_typeof(v_fill) <> 'object' then
            raise exception 'fill % is a JSON object, not %', n, jsonb_typeof(v_fill) using errcode = 'TT001';
        end if;
        side := v_fill->>'side';
        quantity := v_fill->>'quantity';
        price := v_fill->>'price';
        fee := coalesce(v_fill->>'fee', '0');
        -- NaN is greater than infinity in numeric, so one comparison refuses both.
        if (side in ('buy', 'sell', 'sell_short') and quantity > 0 and quantity < 'infinity'
            and price > '-infinity' and price < 'infinity' and fee > '-infinity' and fee < 'infinity') is not true then
            raise exception 'fill % has side "%", quantity %, price % and fee %', n, side, quantity, price, fee
                using errcode = 'TT001';
        end if;
        return next;
    end loop;
exception
    when invalid_text_representation or numeric_value_out_of_range then
        raise exception 'fill % cannot be read: %', n, sqlerrm using errcode = 'TT001';
end
$$;
comment on function portfolio._read_fills(jsonb) is 'Reads fills as portfolio.replay takes them.';
grant execute on function portfolio._read_fills(jsonb) to tsdb_reader;
