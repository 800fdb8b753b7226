-- What the closed part of a position had cost, by average cost; all of the cost when all is closed, so that
-- nothing of it is left by rounding.
create or replace function portfolio._cost_closed(p_position numeric, p_cost numeric, p_closed numeric)
returns numeric
language plpgsql
immutable
as $$
begin
    return case
        when p_closed = 0 then 0
        when p_closed = p_position then p_cost
        else round(p_cost * p_closed / p_position, 12) end;
end
$$;
comment on function portfolio._cost_closed(numeric, numeric, numeric) is 'What a closed part had cost.';
grant execute on function portfolio._cost_closed(numeric, numeric, numeric) to tsdb_reader;
