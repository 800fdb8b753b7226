-- Looks for a universe that was chosen with knowledge of what came later. One row per finding:
--   no_exits          none of the feed's instruments of the window's start ends before its end: the data
--                     seem to hold survivors only (of a hundred stocks some go in a year);
--   survivors_chosen  instruments of the feed end in the window, none of the universe does;
--   listed_later      an instrument of the universe has its first bar after an instance with it became valid;
--   member_later      by ref.index_members it joined its only index after that;
--   known_later       the instance was recorded after the window began, so that whoever chose it could
--                     have known the window (every instance of a calibration that was run later has this;
--                     instances counts them);
--   sectors_undated   sectors were taken as they are now, for a time in which they may have been others: by the
--                     calibration of instances (a file of sectors without dates), or by the bound max_sector_net of
--                     the portfolio, because ref.instruments has no history.
-- It sees bars and membership as stored: a feed without the stocks that are gone and an index without history
-- leave nothing to see but no_exits. Sources: daily bars of the feed. Errors: as backtest.run.
create or replace function backtest.check_survivorship(
    p_strategy text,
    p_from timestamptz,
    p_to timestamptz,
    p_parameters jsonb default '{}'
)
returns table (kind text, instrument_id integer, symbol text, instances bigint, detail jsonb)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_run jsonb;
begin
    perform backtest._check_strategy(p_strategy);
    v_run := backtest._read_run(p_strategy, p_parameters || jsonb '{"source": "daily"}', p_from, p_to);
    return query
    with bars as materialized (
        select b.instrument_id, min(b.ts) as first, max(b.ts) as last
        from market._source_bars b join ops.feeds f using (feed_id)
        where f.feed = v_run->>'feed' and b.resolution = '1d' and b.side = 'trade'
        group by b.instrument_id
    ),
    -- A month is more than any halt of the exchange.
    spans as materialized (
        select b.*, b.last < least(p_to, max(b.last) over ()) - interval '31 days' as ends
        from bars b where b.first <= p_to and b.last > p_from
    ),
    chosen as materialized (
        select u.instrument_id, min(greatest(t.valid_from, p_from)) as since, count(*) as instances,
               count(*) filter (where t.recorded_at > p_from) as later, min(t.recorded_at) as recorded_at
        from jsonb_array_elements_text(v_run->'instances') e (id)
        cross join lateral (
            select p.instruments, p.valid_from, coalesce(a.recorded_at, n.recorded_at) as recorded_at
            from signal._tradables p
            left join signal.pairs a on a.pair_id = p.pair_id
            left join signal.instances n on n.instance_id = p.pair_id
            where p.pair_id = e.id::bigint) t
        cross join lateral unnest(t.instruments) u (instrument_id)
        group by u.instrument_id
    ),
    counts as (
        select count(*) filter (where s.first <= p_from + interval '31 days') as there,
               count(*) filter (where s.ends) as ended,
               count(*) filter (where s.ends and c.instrument_id is not null) as chosen_ended,
               count(c.instrument_id) as chosen
        from spans s left join chosen c on c.instrument_id = s.instrument_id
    ),
    findings as (
        select 'no_exits' as kind, null::integer as instrument_id, null::bigint as instances,
               jsonb_build_object('instruments', n.there) as detail
        from counts n where n.there > 0 and n.ended = 0
        union all
        select 'survivors_chosen', null, null,
               jsonb_build_object('feed_ended', n.ended, 'chosen', n.chosen, 'chosen_ended', 0)
        from counts n where n.ended > 0 and n.chosen_ended = 0
        union all
        select 'listed_later', c.instrument_id, c.instances,
               jsonb_build_object('valid_from', c.since, 'first_bar', s.first)
        from chosen c join spans s on s.instrument_id = c.instrument_id
        where s.first > c.since
        union all
        select 'member_later', c.instrument_id, c.instances,
               jsonb_build_object('valid_from', c.since, 'member_from', m.since)
        from chosen c
        cross join lateral (
            select min(x.valid_from) as since from ref.index_members x
            where x.instrument_id = c.instrument_id and x.superseded_at = 'infinity') m
        where m.since > (c.since at time zone 'America/New_York')::date
        union all
        select 'known_later', null, sum(c.later)::bigint,
               jsonb_build_object('first_recorded_at', min(c.recorded_at), 'instruments', count(*))
        from chosen c where c.later > 0 having count(*) > 0
        union all
        select 'sectors_undated', null, sum(c.pairs)::bigint,
               jsonb_build_object('by', 'calibration', 'calibrations', count(*))
        from (
            select p.calibration_id, count(*) as pairs
            from jsonb_array_elements_text(v_run->'instances') e (id)
            join signal.pairs p on p.pair_id = e.id::bigint
            group by p.calibration_id) c
        join signal.calibrations r using (calibration_id)
        where exists (
            select from jsonb_each(nullif(r.arguments->'sectors', 'null')) s
            where jsonb_typeof(s.value) = 'string' or s.value #>> '{0,0}' = '')
        having count(*) > 0
        union all
        select 'sectors_undated', null, null, jsonb_build_object('by', 'portfolio', 'max_sector_net', x.bound)
        from (select (v_run #>> '{portfolio,max_sector_net}')::numeric as bound) x
        where x.bound is not null
    )
    select f.kind, f.instrument_id, i.symbol, f.instances, f.detail
    from findings f
    left join ref.instruments i on i.instrument_id = f.instrument_id
    order by f.kind, i.symbol;
end
$$;
comment on function backtest.check_survivorship(text, timestamptz, timestamptz, jsonb) is
    'Signs that a universe was chosen with knowledge of what came later.';
grant execute on function backtest.check_survivorship(text, timestamptz, timestamptz, jsonb) to tsdb_quant;
