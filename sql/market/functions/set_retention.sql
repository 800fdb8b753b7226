-- Says how long rows of a table (quotes, trades, book_events, bars_1s, ...) are kept, and after how
-- long they are compressed; null: for ever, and never. Returns what becomes of the compression: none,
-- policy, or not available (Apache edition: the setting is stored and does nothing).
--
-- Rows are dropped by market.apply_retention, whole chunks at a time, when both the rows and their
-- loading are older than p_keep: history that is loaded today does not vanish tonight. What was
-- computed from them stays. Raises TT001 for less than a day or for compressed bars, TT002 for an
-- unknown table.
create or replace function market.set_retention(
    p_name text, p_keep interval, p_compress_after interval default null
)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_native boolean := market._is_native();
    v_tables text[];
    v_table text;
begin
    perform ops._audit('market.set_retention', p_name,
        jsonb_build_object('keep', p_keep, 'compress_after', p_compress_after));
    select array_agg(t.name order by t.name) into v_tables
    from market._retained_tables(p_name) t (name);
    if v_tables is null then
        raise exception 'unknown table % of schema market', p_name using errcode = 'TT002';
    elsif p_keep < interval '1 day' then
        raise exception 'rows of % have to be kept for a day at least, not for %', p_name, p_keep
            using errcode = 'TT001';
    elsif p_compress_after < interval '1 hour' or p_compress_after >= p_keep then
        raise exception 'compression after % is not between an hour and what is kept',
            p_compress_after using errcode = 'TT001';
    elsif p_compress_after is not null and exists (
        select from market.rollups r where format('market.%I', '_' || r.rollup) = any (v_tables))
    then
        raise exception 'bars are not compressed: they change with late ticks'
            using errcode = 'TT001';
    end if;
    foreach v_table in array v_tables loop
        insert into market.retention (hypertable, keep, compress_after)
        values (v_table, p_keep, p_compress_after)
        on conflict (hypertable) do update set
            keep = excluded.keep, compress_after = excluded.compress_after,
            changed_at = clock_timestamp();
        if v_native then
            perform market._set_compression(v_table, p_compress_after);
        end if;
    end loop;
    return case when p_compress_after is null then 'none' when v_native then 'policy'
        else 'not available' end;
end
$$;
comment on function market.set_retention(text, interval, interval) is
    'Says how long rows of a table are kept and when they are compressed; null: for ever, never.';
grant execute on function market.set_retention(text, interval, interval) to tsdb_ops;
