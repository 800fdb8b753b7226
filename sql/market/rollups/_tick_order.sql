-- A value to take minimum and maximum of: the total order of ticks within a feed (ts, ns, source,
-- seq), then p_value, which is element 5. So (min(...))[5] is the first value and (max(...))[5]
-- the last, also among ticks of the same time. Inlined; immutable, as both editions need it.
create or replace function market._tick_order(
    p_ts timestamptz, p_ns smallint, p_source_id integer, p_seq bigint, p_value bigint
)
returns bigint[]
language sql
immutable
parallel safe
as $$
    select array[
        (extract(epoch from p_ts - timestamptz '2000-01-01 00:00:00+00') * 1000000)::bigint,
        p_ns::bigint, p_source_id::bigint, p_seq, p_value]
$$;
-- Called from views, where the reader's rights count.
grant execute on function market._tick_order(timestamptz, smallint, integer, bigint, bigint)
    to tsdb_worker, tsdb_quant, tsdb_readonly, tsdb_operator;
