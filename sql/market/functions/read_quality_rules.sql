-- The thresholds in force for a feed and symbol (null: any), each the narrowest that fits: feed and
-- symbol, symbol, feed, everything.
create or replace function market.read_quality_rules(
    p_feed text default null, p_symbol text default null
)
returns table (rule text, stage text, threshold double precision, unit text, scope jsonb)
language sql
stable
as $$
    select distinct on (r.rule) r.rule, r.stage, t.threshold, r.unit, t.scope
    from market.quality_rules r
    join market.quality_thresholds t on t.rule = r.rule and t.superseded_at = 'infinity'
    where coalesce(t.scope->>'feed' = p_feed, not t.scope ? 'feed')
        and coalesce(t.scope->>'symbol' = p_symbol, not t.scope ? 'symbol')
    order by r.rule, t.scope ? 'symbol' desc, t.scope ? 'feed' desc
$$;
comment on function market.read_quality_rules(text, text) is
    'The thresholds of the quality rules in force for a feed and symbol.';
grant execute on function market.read_quality_rules(text, text) to tsdb_reader, tsdb_worker_feeds;
