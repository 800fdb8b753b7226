-- Whose daily bars an instrument's returns are made of: p_feed, else the feed of its last return, else the
-- only feed that has any. Errors: TT001 several feeds and none of them chosen.
create or replace function risk._daily_feeds(p_from timestamptz, p_to timestamptz, p_feed text)
returns table (instrument_id integer, feed_id integer)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    v_feed_id constant integer := (select f.feed_id from ops.feeds f where f.feed = p_feed);
    v_instruments integer[];
    v_feeds integer[];
    v_several text;
begin
    with offered as materialized (
        select b.instrument_id, b.feed_id
        from market._source_bars b
        where b.resolution = '1d' and b.side = 'trade' and b.ts >= p_from and b.ts <= p_to
        group by b.instrument_id, b.feed_id),
    usual as (
        select o.instrument_id, l.feed_id
        from (select distinct instrument_id from offered) o
        cross join lateral (
            select r.feed_id from risk.returns r where r.instrument_id = o.instrument_id
            order by r.date desc limit 1) l)
    select array_agg(o.instrument_id), array_agg(o.feed_id) into v_instruments, v_feeds
    from offered o
    left join usual u using (instrument_id)
    where o.feed_id = case when p_feed is null then coalesce(u.feed_id, o.feed_id) else v_feed_id end;
    select format('feeds %s have daily bars of %s: name one with p_feed',
        string_agg(f.feed, ', ' order by f.feed), i.symbol) into v_several
    from unnest(v_instruments, v_feeds) as u (instrument_id, feed_id)
    join ops.feeds f using (feed_id)
    join ref.instruments i using (instrument_id)
    group by i.symbol
    having count(*) > 1
    order by i.symbol limit 1;
    if v_several is not null then
        raise exception '%', v_several using errcode = 'TT001';
    end if;
    return query select u.* from unnest(v_instruments, v_feeds) as u;
end
$$;
comment on function risk._daily_feeds(timestamptz, timestamptz, text) is
    'The feed of each instrument''s daily returns.';
