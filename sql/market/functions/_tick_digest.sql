-- Hash of one tick as stored. Inlined by the planner; prices and sizes come as bigint, a quote's
-- as bid, bid size, ask, ask size, a trade's as price, size, null, null.
-- One expression for market.write_batch and market.batch_digest, so that parity compares like
-- with like. Flags that later messages set (16 to 128: conditions, cancellations) are left out: they
-- are not what a batch handed over.
create or replace function market._tick_digest(
    p_instrument_id integer,
    p_ts timestamptz,
    p_ns smallint,
    p_source_id integer,
    p_seq bigint,
    p_flags smallint,
    p_1 bigint,
    p_2 bigint,
    p_3 bigint,
    p_4 bigint,
    p_exchange text,
    p_conditions text
)
returns bigint
language sql
immutable
parallel safe
as $$
    select hash_record_extended(
        row(p_instrument_id, p_ts, p_ns, p_source_id, p_seq, p_flags & 15::smallint, p_1, p_2, p_3, p_4,
            p_exchange, p_conditions), 0)
$$;
-- Called from functions that run with the caller's rights.
grant execute on function market._tick_digest(
    integer, timestamptz, smallint, integer, bigint, smallint, bigint, bigint, bigint, bigint,
    text, text) to tsdb_reader;
