-- Declares a rollup and builds it for this server's edition; does nothing when it is built already
-- from the same declaration. A changed declaration drops the rollup and those computed from it,
-- which have to be declared again.
--
-- p_source       a table of ticks (column ts), or another rollup (market._<name>, column bucket)
-- p_keys         grouping columns besides the bucket
-- p_aggregates   select list over p_source; immutable functions only
-- p_timezone     where buckets of days start at midnight
--
-- Where the server keeps rollups, market._<name> is a continuous aggregate with a refresh policy;
-- elsewhere it is a hypertable that market.refresh_rollups keeps from market.rollup_invalidations.
-- market._<name>_current reads it, in the latter case with the buckets not materialised yet
-- computed from the source. Owner only.
create or replace function market.declare_rollup(
    p_rollup text,
    p_source text,
    p_bucket interval,
    p_keys text,
    p_aggregates text,
    p_timezone text default 'UTC'
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_native boolean := market._is_native();
    v_table text := format('market.%I', '_' || p_rollup);
    v_current text := format('market.%I', '_' || p_rollup || '_current');
    v_lower market.rollups;
    v_known market.rollups;
    v_new market.rollups;
    v_time text;
begin
    select r.* into v_lower from market.rollups r
    where format('market.%I', '_' || r.rollup) = p_source;
    v_time := format(
        case when p_timezone = 'UTC' then 'public.time_bucket(%L::interval, %s)'
             else 'public.time_bucket(%L::interval, %s, %L)' end,
        p_bucket, case when v_lower.rollup is null then 'ts' else 'bucket' end, p_timezone);
    v_new.rollup := p_rollup;
    v_new.source := p_source;
    v_new.base := coalesce(v_lower.base, p_source);
    v_new.level := coalesce(v_lower.level, 0) + 1;
    v_new.bucket := p_bucket;
    v_new.timezone := p_timezone;
    v_new.native := v_native;
    v_new.query := format(
        'select %s, %s as bucket, %s from %s', p_keys, v_time, p_aggregates,
        p_source || case when v_lower.rollup is null or v_native then '' else '_current' end);
    v_new.grouping := format(' group by %s, %s', p_keys, v_time);
    v_new.recorded_at := clock_timestamp();
    select r.* into v_known from market.rollups r where r.rollup = p_rollup;
    if (v_known.native, v_known.query, v_known.grouping)
        is not distinct from (v_new.native, v_new.query, v_new.grouping)
    then
        return;
    end if;
    perform market._drop_rollup(p_rollup);
    insert into market.rollups select v_new.*;
    if v_native then
        perform market._create_native_rollup(
            v_table, v_current, v_new.query || v_new.grouping, p_bucket);
    else
        perform market._create_own_rollup(v_new, v_table, v_current);
    end if;
end
$$;
comment on function market.declare_rollup(text, text, interval, text, text, text) is
    'Declares a rollup (name, source, bucket, keys, select list) for both editions.';
