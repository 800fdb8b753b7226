-- How much of a position a fill closes, signed like the position. p_quantity is signed: positive bought.
create or replace function portfolio._closed(p_position numeric, p_quantity numeric)
returns numeric
language plpgsql
immutable
as $$
begin
    return case
        when sign(p_position) = -sign(p_quantity) then sign(p_position) * least(abs(p_position), abs(p_quantity))
        else 0 end;
end
$$;
comment on function portfolio._closed(numeric, numeric) is 'How much of a position a fill closes.';
grant execute on function portfolio._closed(numeric, numeric) to tsdb_reader;
