-- Declares a rollup once for both editions; a declaration that did not change does nothing.
--
--   p_rollup     name; the public view is market.<name>
--   p_source     base table with a column ts
--   p_bucket     width of a bucket
--   p_keys       columns to group by besides the bucket
--   p_aggregates select list of aggregates, each with a name
--   p_view       select list and joins of the public view over the rollup, which it calls r
--
-- Where the server keeps rollups, market._<name> is a continuous aggregate with a refresh policy;
-- elsewhere it is a hypertable that market.refresh_rollups keeps from market.rollup_invalidations.
-- market._<name>_current reads it, in the latter case with the buckets not materialised yet
-- computed from the base table. Owner only.
create or replace function market.declare_rollup(
    p_rollup text,
    p_source regclass,
    p_bucket interval,
    p_keys text,
    p_aggregates text,
    p_view text
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_native boolean := market._is_native();
    v_table text := format('market.%I', '_' || p_rollup);
    v_current text := format('market.%I', '_' || p_rollup || '_current');
    v_query text := format(
        'select %s, public.time_bucket(%L::interval, ts) as bucket, %s from %s',
        p_keys, p_bucket, p_aggregates, p_source);
    v_grouping text := format(
        ' group by %s, public.time_bucket(%L::interval, ts)', p_keys, p_bucket);
    v_known market.rollups;
begin
    select r.* into v_known from market.rollups r where r.rollup = p_rollup;
    if (v_known.native, v_known.query, v_known.grouping, v_known.view_query)
        is not distinct from (v_native, v_query, v_grouping, p_view)
    then
        return;
    end if;
    if v_known.native then
        execute format('drop materialized view %s cascade', v_table);
    elsif v_known.rollup is not null then
        execute format('drop table %s cascade', v_table);
    end if;
    delete from market.rollups where rollup = p_rollup;
    insert into market.rollups (rollup, source, bucket, native, query, grouping, view_query)
    values (p_rollup, p_source::text, p_bucket, v_native, v_query, v_grouping, p_view);
    if v_native then
        perform market._create_native_rollup(v_table, v_current, v_query || v_grouping);
    else
        perform market._create_own_rollup(p_rollup, v_table, v_current);
    end if;
    execute format('create view market.%I as select %s', p_rollup,
                   replace(p_view, '$rollup', v_current || ' r'));
    execute format('grant select on market.%I to tsdb_worker, tsdb_quant, tsdb_readonly, tsdb_operator',
                   p_rollup);
end
$$;
comment on function market.declare_rollup(text, regclass, interval, text, text, text) is
    'Declares a rollup (name, source, bucket, keys, select list, public view) for both editions.';
