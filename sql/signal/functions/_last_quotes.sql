-- The last usable quote that each instrument of a session had as of a batch; later batches may already
-- be there, so market.latest_quotes does not tell.
-- plpgsql, because a function in language sql is planned again at every call.
create or replace function signal._last_quotes(
    p_session_id uuid, p_instruments integer[], p_batch_no bigint, p_as_of timestamptz
)
returns table (
    instrument_id integer, mid double precision, ts timestamptz, ns smallint, source_id integer, seq bigint
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select i.instrument_id, (q.bid_price + q.ask_price) / 2.0::float8 / i.price_unit,
           q.ts, q.ns, q.source_id, q.seq
    from ref.instruments i
    cross join lateral (
        select q.* from market.batch_quotes q
        where q.session_id = p_session_id and q.instrument_id = i.instrument_id
            and q.as_of <= p_as_of and q.batch_no <= p_batch_no
        order by q.as_of desc, q.batch_no desc limit 1) q
    where i.instrument_id = any (p_instruments);
end
$$;
comment on function signal._last_quotes(uuid, integer[], bigint, timestamptz) is
    'The last usable quote of instruments of a session as of a batch.';
