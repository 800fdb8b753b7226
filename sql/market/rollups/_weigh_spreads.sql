-- Spreads times the microseconds that they held, added up: spread n holds from p_last_ts[n] to
-- p_first_ts[n + 1]; how long the last one holds is not known here. For ticks, both times are the
-- tick's; for buckets, they are those of the first and last usable quote, and the spread is that of
-- the last. Arrays in the order of time. Exact, so that bars of bars equal bars of ticks.
create or replace function market._weigh_spreads(
    p_first_ts timestamptz[], p_last_ts timestamptz[], p_spreads bigint[]
)
returns numeric
language plpgsql
immutable
parallel safe
as $$
declare
    v_sum numeric := 0;
begin
    -- A loop, because calling a statement for each bucket costs more than its few rows.
    for n in 1 .. coalesce(pg_catalog.array_length(p_spreads, 1), 0) - 1 loop
        if p_first_ts[n + 1] > p_last_ts[n] then
            v_sum := v_sum + p_spreads[n]
                * (extract(epoch from p_first_ts[n + 1] - p_last_ts[n]) * 1000000);
        end if;
    end loop;
    return pg_catalog.trunc(v_sum);
end
$$;
-- Called from views, where the reader's rights count.
grant execute on function market._weigh_spreads(timestamptz[], timestamptz[], bigint[]) to tsdb_reader;
