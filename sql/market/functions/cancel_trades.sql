-- Marks trades of a source as undone (flag 128: cancelled or corrected later), named by instrument
-- and trade_id; they leave every rollup. Returns how many were found; one that is not there is no
-- error, as it may be older than the data.
create or replace function market.cancel_trades(
    p_source_id integer, p_symbols text[], p_trade_ids bigint[]
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_found bigint;
begin
    with gone as (
        update market._trades t
        set flags = t.flags | 128
        from unnest(p_symbols, p_trade_ids) c (symbol, trade_id)
        join ref.instruments i on i.symbol = c.symbol
        join market.sources s on s.instrument_id = i.instrument_id and s.kind = 'trades'
            and (s.source_id = p_source_id or s.parent_id = p_source_id)
        where t.instrument_id = i.instrument_id and t.source_id = s.source_id
            and t.trade_id = c.trade_id and t.ts between s.first_ts and s.last_ts
            and t.flags & 128 = 0
        returning t.ts
    )
    select count(*) into v_found from gone;
    return v_found;
end
$$;
comment on function market.cancel_trades(integer, text[], bigint[]) is
    'Marks trades of a source, named by instrument and trade_id, as undone.';
grant execute on function market.cancel_trades(integer, text[], bigint[]) to tsdb_worker_feeds;
