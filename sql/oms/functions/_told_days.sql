-- The trade dates of which a venue, drop copy or clearing file has told something within an interval of
-- wall time (null: ever). Session time does not do: a replay of an old day is told today.
create or replace function oms._told_days(p_venue_id integer, p_within interval)
returns date[]
language plpgsql
stable
as $$
declare
    v_since constant timestamptz := coalesce(clock_timestamp() - p_within, '-infinity');
begin
    return array(
        select t.trade_date from oms.venue_trades t where t.venue_id = p_venue_id and t.first_seen >= v_since
        union
        select s.trade_date from oms.venue_statements s where s.venue_id = p_venue_id and s.stated_at >= v_since);
end
$$;
comment on function oms._told_days(integer, interval) is
    'The trade dates of which others have told something lately.';
