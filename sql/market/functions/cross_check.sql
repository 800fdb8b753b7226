-- Compares the quotes of an instrument in two feeds, from p_from to p_to: one row per measure, of a
-- feed or (feed null) of both together. beyond: the value is above its rule's threshold.
--
-- rows, crossed_rows         two-sided quotes, and those whose bid is above the ask
-- crossed_time               part of the time that a quote holds (at most cross_silent_s) it is crossed
-- missing_time               part of the span in which a feed had no quote for cross_silent_s while the
--                            other had some; detail lists the longest stretches
-- buckets                    buckets in which both have a quote (market.cross_buckets): what follows is
--                            of these
-- mid_difference_mean        A's mid less B's; _p50, _p99, _max of its absolute value; also in
--                            basis points of the mean of both (_bps)
-- apart                      part of the buckets in which one's bid is above the other's ask
-- correlation                of the changes of the mids from bucket to bucket
-- lead                       seconds by which A runs ahead of B (negative: behind), where the
--                            correlation is highest, if above rule cross_lag_correlation; detail has
--                            it at each lag up to p_lags buckets. Hours are a wrong time zone
-- Errors as of market.cross_buckets; TT001 lags that are none.
create or replace function market.cross_check(
    p_instrument_id integer,
    p_feed_a text,
    p_feed_b text,
    p_from timestamptz,
    p_to timestamptz,
    p_bucket interval default '1 second',
    p_lags integer default 10
)
returns table (
    measure text,
    feed text,
    value double precision,
    unit text,
    threshold double precision,
    beyond boolean,
    detail jsonb
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_rules jsonb;
    v_unit text;
    v_bucket_s double precision := extract(epoch from p_bucket);
begin
    select market._quality_thresholds(null, i.symbol), i.currency into v_rules, v_unit
    from ref.instruments i where i.instrument_id = p_instrument_id;
    if (p_lags between 0 and 1000) is not true then
        raise exception 'lags % are none: say 0 to 1000 buckets', p_lags using errcode = 'TT001';
    end if;
    return query
    with buckets as materialized (
        select row_number() over (order by c.bucket) as n, c.*,
               (c.a_bid + c.a_ask) / 2 as a_mid, (c.b_bid + c.b_ask) / 2 as b_mid
        from market.cross_buckets(
            p_instrument_id, p_feed_a, p_feed_b, p_from, p_to, p_bucket) c
    ),
    both_ as (
        select abs(b.a_mid - b.b_mid) as distance, b.a_mid - b.b_mid as difference,
               10000 * (b.a_mid - b.b_mid) / ((b.a_mid + b.b_mid) / 2) as difference_bps,
               b.a_bid > b.b_ask or b.b_bid > b.a_ask as apart
        from buckets b where b.a_mid is not null and b.b_mid is not null
    ),
    compared as (
        select count(*)::double precision as buckets, avg(b.difference) as mean,
               percentile_cont(array[0.5, 0.99, 1]) within group (order by b.distance) as abs,
               avg(b.difference_bps) as mean_bps,
               percentile_cont(array[0.5, 0.99, 1])
                   within group (order by abs(b.difference_bps)) as abs_bps,
               avg(b.apart::integer)::double precision as apart
        from both_ b
    ),
    changes as materialized (
        select b.n, b.a_mid - lag(b.a_mid) over w as a_change,
               b.b_mid - lag(b.b_mid) over w as b_change
        from buckets b
        window w as (order by b.n)
    ),
    lags as (
        select l.lag, corr(a.a_change, b.b_change) as correlation
        from generate_series(-p_lags, p_lags) l (lag)
        join changes a on a.a_change is not null
        join changes b on b.n = a.n + l.lag and b.b_change is not null
        group by l.lag
    ),
    lead as (
        select (array_agg(l.lag * v_bucket_s
                    order by l.correlation desc nulls last, abs(l.lag)))[1] as seconds,
               jsonb_object_agg(l.lag, l.correlation) as correlations
        from lags l
        having max(l.correlation) > (v_rules->>'cross_lag_correlation')::double precision
    ),
    feeds as (
        select s.* from market._cross_feeds(
            p_instrument_id, p_feed_a, p_feed_b, p_from, p_to) s
    ),
    measures (no, measure, feed, value, unit, rule, detail) as (
        select 1, 'rows', f.feed, f.rows::double precision, 'rows', null, null::jsonb from feeds f
        union all
        select 2, 'crossed_rows', f.feed, f.crossed_rows, 'rows', null, null from feeds f
        union all
        select 3, 'crossed_time', f.feed, f.crossed_time, 'part of the time',
               'cross_crossed_share', null from feeds f
        union all
        select 4, 'missing_time', f.feed, f.missing_time, 'part of the time',
               'cross_missing_share', f.stretches from feeds f
        union all
        select m.no, m.measure, null, m.value, m.unit, m.rule, null
        from compared c
        cross join lateral (values
            (5, 'buckets', c.buckets, 'buckets', null),
            (6, 'mid_difference_mean', c.mean, v_unit, null),
            (7, 'mid_difference_p50', c.abs[1], v_unit, null),
            (8, 'mid_difference_p99', c.abs[2], v_unit, null),
            (9, 'mid_difference_max', c.abs[3], v_unit, null),
            (10, 'mid_difference_mean_bps', c.mean_bps, 'basis points', null),
            (11, 'mid_difference_p50_bps', c.abs_bps[1], 'basis points', null),
            (12, 'mid_difference_p99_bps', c.abs_bps[2], 'basis points', 'cross_mid_p99_bps'),
            (13, 'mid_difference_max_bps', c.abs_bps[3], 'basis points', null),
            (14, 'apart', c.apart, 'part of the buckets', 'cross_apart_share')
        ) m (no, measure, value, unit, rule)
        union all
        select 15, 'correlation', null, l.correlation, '', null, null
        from (values (0)) z (lag) left join lags l on l.lag = z.lag
        union all
        select 16, 'lead', null, l.seconds, 'seconds', 'cross_lag_s', l.correlations
        from (values (0)) z (lag) left join lead l on true
    )
    select m.measure, m.feed, m.value, m.unit, r.threshold, abs(m.value) > r.threshold, m.detail
    from measures m
    cross join lateral (select (v_rules->>m.rule)::double precision as threshold) r
    order by m.no, m.feed <> p_feed_a;
end
$$;
comment on function market.cross_check(
    integer, text, text, timestamptz, timestamptz, interval, integer) is
    'Compares the quotes of an instrument in two feeds: rows, crossed, missing, distance of the mids, quotes apart, which one leads; beyond marks what exceeds its quality rule.';
grant execute on function market.cross_check(
    integer, text, text, timestamptz, timestamptz, interval, integer) to tsdb_reader;
