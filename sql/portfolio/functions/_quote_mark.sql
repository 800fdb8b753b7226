-- The mid of the last usable quote that a session had of an instrument on a day; null without one.
create or replace function portfolio._quote_mark(p_session_id uuid, p_instrument_id integer, p_date date)
returns numeric
language sql
stable
as $$
    select (q.bid_price + q.ask_price)::numeric / (2 * power(10::numeric, i.price_scale))
    from ref.instruments i
    cross join lateral (
        select p_date::timestamp at time zone portfolio._time_zone(i.instrument_id) as starts_at,
            (p_date + 1)::timestamp at time zone portfolio._time_zone(i.instrument_id) as ends_at) d
    cross join lateral (
        (select b.bid_price, b.ask_price, b.as_of
         from market.batch_quotes b
         where b.session_id = p_session_id and b.instrument_id = p_instrument_id
             and b.as_of >= d.starts_at and b.as_of < d.ends_at
         order by b.as_of desc, b.batch_no desc limit 1)
        union all
        select l.bid_price, l.ask_price, l.ts
        from market.latest_quotes l
        where l.session_id = p_session_id and l.instrument_id = p_instrument_id
            and l.ts >= d.starts_at and l.ts < d.ends_at
        order by 3 desc limit 1) q
    where i.instrument_id = p_instrument_id
$$;
comment on function portfolio._quote_mark(uuid, integer, date) is
    'The mid of the last usable quote that a session had of an instrument on a day.';
