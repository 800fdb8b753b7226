-- The spread of every active pair at the end of every minute in which both legs had a usable quote, from
-- the one-minute bars of both. Active: enabled, not superseded, and valid in that minute. A bound on
-- bucket goes down to the bars, so give one.
-- spread: ln(mid_a) - hedge_ratio * ln(mid_b), as in signal.step_pairs. z_score: against the calibrated
-- mean and deviation, null for pairs calibrated without a mean; the mean of the step runs on from there
-- (signal.pair_monitor).
-- Legs are grouped instead of joined, so that conditions on bucket reach the bars of both.
create or replace view signal.spreads_1m as
select
    s.pair_id, s.symbol_a, s.symbol_b, s.feed, s.bucket, s.mid_a, s.mid_b,
    ln(s.mid_a) - s.hedge_ratio * ln(s.mid_b) as spread,
    (ln(s.mid_a) - s.hedge_ratio * ln(s.mid_b) - s.mean) / s.deviation as z_score
from (
    select
        p.pair_id, b.bucket, min(a.symbol) as symbol_a, min(i.symbol) as symbol_b, min(f.feed) as feed,
        min((p.parameters).hedge_ratio) as hedge_ratio, min((p.parameters).mean) as mean,
        min((p.parameters).deviation) as deviation,
        max(b.mid_close) filter (where b.instrument_id = p.instrument_a) as mid_a,
        max(b.mid_close) filter (where b.instrument_id = p.instrument_b) as mid_b
    from signal.pairs p
    join signal.strategies t on t.strategy_id = p.strategy_id and t.status = 'active'
    join ops.feeds f on f.feed_id = p.feed_id
    join ref.instruments a on a.instrument_id = p.instrument_a
    join ref.instruments i on i.instrument_id = p.instrument_b
    cross join lateral (values (p.instrument_a), (p.instrument_b)) l (instrument_id)
    join market.bars_1m b on b.instrument_id = l.instrument_id and b.feed_id = p.feed_id
    where p.enabled and p.superseded_at = 'infinity'
        and b.bucket >= p.valid_from and b.bucket < p.valid_to
    group by p.pair_id, b.bucket) s
where s.mid_a > 0 and s.mid_b > 0;
comment on view signal.spreads_1m is
    'Spread and z-score of every active pair per minute, from the one-minute bars of both legs; select with a bound on bucket.';
