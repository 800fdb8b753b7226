-- What one share of a feed's first daily bar has become by each ex-date up to p_to: splits, spin-offs and
-- dividends, as they stand now, each from its ex-date on, so that nothing later changes an earlier
-- factor. problem: an action that cannot be used (market._daily_actions); prices are then as loaded.
create or replace function backtest._forward_factors(p_feed text, p_instruments integer[], p_to date)
returns table (
    instrument_id integer, since date, until date, factor double precision, problem text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_instrument integer;
    v_first date;
begin
    -- A loop, so that an action that cannot be used spoils its own instrument only.
    for v_instrument in
        select a.instrument_id
        from (select s.instrument_id, s.ex_date from ref.splits s
              union all select d.instrument_id, d.ex_date from ref.dividends d
              union all select o.instrument_id, o.ex_date from ref.spin_offs o) a
        where a.instrument_id = any (p_instruments) and a.ex_date <= p_to
        group by 1 order by 1
    loop
        select ((min(b.ts) + interval '12 hours') at time zone 'UTC')::date into v_first
        from market._source_bars b join ops.feeds f using (feed_id)
        where b.instrument_id = v_instrument and b.resolution = '1d' and b.side = 'trade' and f.feed = p_feed;
        continue when v_first is null or v_first > p_to;
        begin
            return query
            select v_instrument, a.ex_date, lead(a.ex_date, 1, 'infinity') over w,
                   -- A quotient has as many decimals as its numerator.
                   round(round(1.0, 24) * market._product(a.new_shares * a.whole) over w
                       / market._product(a.old_shares * a.kept) over w, 24)::float8,
                   null::text
            from market._daily_actions(v_instrument, v_first, p_to, 'infinity', 'all', p_feed, 'vendor') a
            window w as (order by a.ex_date);
        exception when sqlstate 'TT001' then
            return query select v_instrument, null::date, null::date, null::float8, sqlerrm;
        end;
    end loop;
end
$$;
comment on function backtest._forward_factors(text, integer[], date) is
    'What one share of a feed''s first daily bar has become, by ex-date.';
