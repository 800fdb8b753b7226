-- Apache edition: a hypertable, triggers that note changed ticks, and a view that leaves out the
-- buckets noted and computes them from the base table.
create or replace function market._create_own_rollup(
    p_rollup text, p_table text, p_current text
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_source text;
    v_query text;
    v_grouping text;
begin
    select r.source, r.query, r.grouping into strict v_source, v_query, v_grouping
    from market.rollups r where r.rollup = p_rollup;
    execute format('create table %s as %s%s with no data', p_table, v_query, v_grouping);
    execute format('alter table %s alter column bucket set not null', p_table);
    execute format('select public.create_hypertable(%L, public.by_range(''bucket'', '
                   'interval ''30 days''), create_default_indexes => false)', p_table);
    execute format('create index on %s (instrument_id, bucket)', p_table);
    execute format('create index on %s (bucket)', p_table);
    execute format(
        'create view %1$s as '
        'select m.* from %2$s m where not exists ('
        '    select from market.rollup_invalidations i where i.rollup = %3$L '
        '    and m.bucket >= i.from_bucket and m.bucket < i.to_bucket) '
        'union all '
        'select c.* from (select unnest(range_agg(tstzrange(i.from_bucket, i.to_bucket))) as span '
        '    from market.rollup_invalidations i where i.rollup = %3$L) p '
        'cross join lateral (%4$s where ts >= lower(p.span) and ts < upper(p.span)%5$s) c',
        p_current, p_table, p_rollup, v_query, v_grouping);
    execute format(
        'create or replace trigger note_inserted_tick after insert on %s for each row '
        'when (current_setting(''tsdb_trader.ranges_noted'', true) is distinct from ''on'') '
        'execute function market._note_changed_tick(%L)', v_source, v_source);
    execute format(
        'create or replace trigger note_changed_tick after update or delete on %s for each row '
        'execute function market._note_changed_tick(%L)', v_source, v_source);
    -- Ticks that were there first.
    execute format(
        'insert into market.rollup_invalidations (rollup, from_bucket, to_bucket) '
        'select %L, min(public.time_bucket(r.bucket, s.lo)), '
        '       max(public.time_bucket(r.bucket, s.hi) + r.bucket) '
        'from (select min(ts) as lo, max(ts) as hi from %s) s '
        'join market.rollups r on r.rollup = %L where s.lo is not null having count(*) > 0',
        p_rollup, v_source, p_rollup);
end
$$;
