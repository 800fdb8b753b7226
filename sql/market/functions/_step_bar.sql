-- Transition of market._bar_number: p_state is the number of the bar and what it holds so far. A bar
-- that holds p_threshold or more is full; the trade after it starts the next one from nothing.
create or replace function market._step_bar(
    p_state numeric[], p_amount numeric, p_threshold numeric
)
returns numeric[]
language plpgsql
immutable
parallel safe
as $$
begin
    if p_state[2] >= p_threshold then
        return array[p_state[1] + 1, p_amount];
    end if;
    return array[p_state[1], p_state[2] + p_amount];
end
$$;
grant execute on function market._step_bar(numeric[], numeric, numeric) to tsdb_reader;
