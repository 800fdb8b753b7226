-- The daily closes of a feed's instruments from p_from to before p_to, one row per instrument, prices
-- carried forward through corporate actions: a close is multiplied by what one share of the feed's first
-- bar has become by its date (splits, spin-offs and dividends with an ex-date up to it). So no close
-- depends on anything later than its own date, and one stays the same whatever happens afterwards.
-- A bar without a close has no element. problem: an action that cannot be used (market._daily_actions);
-- the closes are then as loaded. Of two bars of a date the one loaded last counts.
-- Errors: TT001 dates that cannot be, TT002 unknown feed.
create or replace function signal.read_closes(p_feed text, p_from date, p_to date)
returns table (
    instrument_id integer, symbol text, dates date[], closes double precision[], problem text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_feed_id constant integer := market._feed_id(p_feed);
    v_instrument record;
    v_changes jsonb := '[]';
    v_problems jsonb := '{}';
begin
    if (p_from < p_to and isfinite(p_from) and isfinite(p_to)) is not true then
        raise exception 'cannot read closes from % to %', coalesce(p_from::text, 'null'),
            coalesce(p_to::text, 'null') using errcode = 'TT001';
    end if;
    -- A loop, so that an action that cannot be used spoils its own instrument only.
    for v_instrument in
        select a.instrument_id, (b.first_ts + interval '12 hours') at time zone 'UTC' as first
        from (select s.instrument_id from ref.splits s where s.ex_date < p_to
              union select d.instrument_id from ref.dividends d where d.ex_date < p_to
              union select o.instrument_id from ref.spin_offs o where o.ex_date < p_to) a
        cross join lateral (
            select min(b.ts) as first_ts from market._source_bars b
            where b.instrument_id = a.instrument_id and b.feed_id = v_feed_id
                and b.resolution = '1d' and b.side = 'trade') b
        where b.first_ts is not null
    loop
        continue when v_instrument.first::date > p_to - 1;
        begin
            v_changes := v_changes || (
                select coalesce(jsonb_agg(jsonb_build_object(
                    'instrument_id', v_instrument.instrument_id, 'ex_date', a.ex_date,
                    'became', a.new_shares * a.whole, 'was', a.old_shares * a.kept)), '[]')
                from market._daily_actions(v_instrument.instrument_id, v_instrument.first::date, p_to - 1,
                    'infinity', 'all', p_feed, 'vendor') a);
        exception when sqlstate 'TT001' then
            v_problems := v_problems || jsonb_build_object(v_instrument.instrument_id, sqlerrm);
        end;
    end loop;
    return query
    with factors as materialized (
        select c.instrument_id, c.ex_date as since,
               lead(c.ex_date, 1, 'infinity') over changes as until,
               -- A quotient has as many decimals as its numerator.
               round(round(1.0, 24) * market._product(c.became) over changes
                   / market._product(c.was) over changes, 24) as factor
        from jsonb_to_recordset(v_changes) c (
            instrument_id integer, ex_date date, became numeric, was numeric)
        where not v_problems ? c.instrument_id::text
        window changes as (partition by c.instrument_id order by c.ex_date)
    ),
    bars as materialized (
        select distinct on (b.instrument_id, x.date) b.instrument_id, x.date, b.close
        from market._source_bars b
        cross join lateral (select ((b.ts + interval '12 hours') at time zone 'UTC')::date as date) x
        where b.feed_id = v_feed_id and b.resolution = '1d' and b.side = 'trade'
            and b.ts >= (p_from - 1)::timestamp at time zone 'UTC'
            and b.ts < (p_to + 1)::timestamp at time zone 'UTC'
            and x.date >= p_from and x.date < p_to
        order by b.instrument_id, x.date, b.source_id desc, b.seq desc
    )
    select b.instrument_id, i.symbol,
           array_agg(b.date order by b.date),
           array_agg((b.close / power(10::numeric, i.price_scale) * coalesce(f.factor, 1))::float8
                     order by b.date),
           v_problems ->> b.instrument_id::text
    from bars b
    join ref.instruments i on i.instrument_id = b.instrument_id
    left join factors f on f.instrument_id = b.instrument_id and b.date >= f.since and b.date < f.until
    where b.close is not null
    group by b.instrument_id, i.symbol
    order by i.symbol;
end
$$;
comment on function signal.read_closes(text, date, date) is
    'Daily closes of a feed, carried forward through corporate actions, so that none depends on anything later. Errors: TT001, TT002.';
grant execute on function signal.read_closes(text, date, date) to tsdb_reader, tsdb_worker_scheduler;
