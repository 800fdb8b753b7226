-- The calibrations that stand, with symbols and parameters as columns.
create or replace view signal.current_pairs as
select
    p.pair_id, s.strategy, f.feed, a.symbol as symbol_a, b.symbol as symbol_b,
    p.valid_from, p.valid_to, p.enabled, (p.parameters).*, p.statistics, p.code_version
from signal.pairs p
join signal.strategies s on s.strategy_id = p.strategy_id
join ref.instruments a on a.instrument_id = p.instrument_a
join ref.instruments b on b.instrument_id = p.instrument_b
left join ops.feeds f on f.feed_id = p.feed_id
where p.superseded_at = 'infinity';
comment on view signal.current_pairs is
    'Calibrated pairs that are not superseded, each with its parameters; pick one time with valid_from <= t and t < valid_to.';
