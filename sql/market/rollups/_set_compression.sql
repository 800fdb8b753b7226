-- Community edition: compresses chunks of ticks older than p_after by a policy of the server, by
-- instrument and in the order of time; null takes the policy away. Compressed chunks take late and
-- corrected ticks as others do.
create or replace function market._set_compression(p_table text, p_after interval)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from market.rollups r where format('market.%I', '_' || r.rollup) = p_table) then
        return;
    end if;
    perform public.remove_compression_policy(p_table::regclass, if_exists => true);
    if p_after is not null then
        execute format(
            'alter table %s set (timescaledb.compress, '
            'timescaledb.compress_segmentby = ''instrument_id, feed_id'', '
            'timescaledb.compress_orderby = ''ts, ns, source_id, seq'')', p_table);
        perform public.add_compression_policy(p_table::regclass, p_after);
    end if;
end
$$;
