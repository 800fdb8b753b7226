-- The feed of a run: the one named, else the only one whose instances are valid in the window, else the only one
-- there is. Errors: TT002.
create or replace function backtest._read_feed(p_strategy text, p_feed text, p_from timestamptz, p_to timestamptz)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_feeds constant text[] := array(select f.feed from ops.feeds f order by f.feed);
    v_traded constant text[] := array(
        select distinct f.feed
        from signal._tradables p
        join ops.feeds f using (feed_id)
        join signal.strategies s on s.strategy_id = p.strategy_id and s.strategy = p_strategy
        where p.enabled and p.superseded_at = 'infinity' and p.valid_from < p_to and p.valid_to > p_from);
begin
    if p_feed = any (v_feeds) then
        return p_feed;
    elsif p_feed is null and cardinality(v_traded) = 1 then
        return v_traded[1];
    elsif p_feed is null and cardinality(v_feeds) = 1 then
        return v_feeds[1];
    elsif cardinality(v_feeds) = 0 then
        raise exception 'there is no feed: load data first' using errcode = 'TT002';
    end if;
    raise exception '%name the parameter feed, one of: %',
        coalesce(format('unknown feed "%s"%s: ', p_feed, ref._did_you_mean(p_feed, v_feeds)), ''),
        array_to_string(v_feeds, ', ') using errcode = 'TT002';
end
$$;
comment on function backtest._read_feed(text, text, timestamptz, timestamptz) is 'The feed of a run.';
