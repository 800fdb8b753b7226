-- What the market traded of an instrument from p_from up to, excluding, p_to by a session's feed, in units:
-- without trades that are suspicious, undone or no volume. Null for a session without a feed.
create or replace function risk._traded_volume(
    p_session_id uuid,
    p_instrument_id integer,
    p_from timestamptz,
    p_to timestamptz
) returns numeric
language plpgsql
stable
as $$
declare
    v_feed_id integer;
begin
    select s.feed_id into v_feed_id from ops.sessions s where s.session_id = p_session_id;
    if v_feed_id is null then
        return null;
    end if;
    return (
        select coalesce(sum(t.size), 0) / (
            select i.size_unit::numeric from ref.instruments i where i.instrument_id = p_instrument_id)
        from market._trades t
        where t.instrument_id = p_instrument_id and t.feed_id = v_feed_id
            and t.ts >= p_from and t.ts < p_to
            -- 4: suspicious, 64: not volume, 128: cancelled or corrected later.
            and t.flags & 196 = 0);
end
$$;
comment on function risk._traded_volume(uuid, integer, timestamptz, timestamptz) is
    'What the market traded of an instrument in a session.';
