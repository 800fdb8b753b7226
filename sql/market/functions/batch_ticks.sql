-- The ticks of a batch from its recorded ranges, in the total order of ticks: (ts, ns, feed,
-- source, seq), quotes before trades. Prices and sizes are decimals; a quote has the four of a
-- quote, a trade has price and size.
create or replace function market.batch_ticks(p_batch_id bigint)
returns table (
    kind text,
    instrument_id integer,
    ts timestamptz,
    ns smallint,
    feed_id integer,
    source_id integer,
    seq bigint,
    bid_price double precision,
    bid_size double precision,
    ask_price double precision,
    ask_size double precision,
    price double precision,
    size double precision,
    flags smallint
)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    v_from_ts timestamptz;
    v_as_of timestamptz;
begin
    -- Times in variables let the planner leave out the other chunks.
    select b.from_ts, b.as_of into v_from_ts, v_as_of
    from market.batches b where b.batch_id = p_batch_id;
    return query
    with ranges as materialized (
        select s.kind, s.instrument_id, r.source_id, r.first_seq, r.last_seq, i.price_unit, i.size_unit
        from market.batch_ranges r
        join market.sources s on s.source_id = r.source_id
        join ref.instruments i on i.instrument_id = s.instrument_id
        where r.batch_id = p_batch_id
    )
    select 'quote', q.instrument_id, q.ts, q.ns, q.feed_id, q.source_id, q.seq,
           q.bid_price / r.price_unit, q.bid_size / r.size_unit,
           q.ask_price / r.price_unit, q.ask_size / r.size_unit,
           null::double precision, null::double precision, q.flags
    from ranges r
    join market._quotes q
        on q.instrument_id = r.instrument_id and q.source_id = r.source_id
        and q.ts > v_from_ts and q.ts <= v_as_of
        and q.seq between r.first_seq and r.last_seq
    where r.kind = 'quotes'
    union all
    select 'trade', t.instrument_id, t.ts, t.ns, t.feed_id, t.source_id, t.seq,
           null, null, null, null, t.price / r.price_unit, t.size / r.size_unit, t.flags
    from ranges r
    join market._trades t
        on t.instrument_id = r.instrument_id and t.source_id = r.source_id
        and t.ts > v_from_ts and t.ts <= v_as_of
        and t.seq between r.first_seq and r.last_seq
    where r.kind = 'trades'
    order by 3, 4, 1, 5, 6, 7;
end
$$;
comment on function market.batch_ticks(bigint) is
    'The quotes and trades of a batch from its recorded ranges, in the total order of ticks.';
grant execute on function market.batch_ticks(bigint) to tsdb_reader, tsdb_venue;
