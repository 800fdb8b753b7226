-- Apache edition: a hypertable, triggers that note changed ticks (on a base table), and a view that
-- leaves out the buckets noted and computes them anew.
create or replace function market._create_own_rollup(
    p_rollup market.rollups, p_table text, p_current text
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('create table %s as %s%s with no data',
                   p_table, p_rollup.query, p_rollup.grouping);
    execute format('alter table %s alter column bucket set not null', p_table);
    -- Chunks of about the same number of rows on every level.
    execute format('select public.create_hypertable(%L, public.by_range(''bucket'', %L::interval), '
                   'create_default_indexes => false)', p_table,
                   least(greatest(p_rollup.bucket * 43200, interval '1 day'), interval '360 days'));
    execute format('create index on %s (instrument_id, bucket)', p_table);
    execute format('create index on %s (bucket)', p_table);
    execute format(
        'create view %1$s as '
        'select m.* from %2$s m where not m.bucket <@ (select market._noted(%3$L)) '
        'union all %4$s',
        p_current, p_table, p_rollup.rollup, market._unmaterialised(p_rollup));
    if p_rollup.level = 1 then
        execute format(
            'create or replace trigger note_inserted_ticks after insert on %s for each statement '
            'when (current_setting(''tsdb_trader.ranges_noted'', true) is distinct from ''on'') '
            'execute function market._note_inserted_ticks()', p_rollup.base);
        execute format(
            'create or replace trigger note_changed_tick after update or delete on %s for each row '
            'execute function market._note_changed_tick(%L)', p_rollup.base, p_rollup.base);
    end if;
    -- Ticks that were there first.
    execute format(
        'insert into market.rollup_invalidations (rollup, from_bucket, to_bucket) '
        'select %1$L, market._bucket_of(%2$L, s.lo, %3$L), '
        '       market._bucket_end(market._bucket_of(%2$L, s.hi, %3$L), %2$L, %3$L) '
        'from (select min(ts) as lo, max(ts) as hi from %4$s) s where s.lo is not null',
        p_rollup.rollup, p_rollup.bucket, p_rollup.timezone, p_rollup.base);
end
$$;
