-- Pairs and instances of other strategies as one: what can be pinned to a session. instruments in the
-- order of the legs; symbols_key is the same for the same legs in any order.
create or replace view signal._tradables as
select p.pair_id, true as is_pair, p.strategy_id, p.feed_id, p.enabled, p.valid_from, p.valid_to,
       p.superseded_at, array[p.instrument_a, p.instrument_b] as instruments,
       array[least(p.instrument_a, p.instrument_b), greatest(p.instrument_a, p.instrument_b)] as symbols_key
from signal.pairs p
union all
select n.instance_id, false, n.strategy_id, n.feed_id, n.enabled, n.valid_from, n.valid_to,
       n.superseded_at, n.instruments, array(select u.leg from unnest(n.instruments) u (leg) order by u.leg)
from signal.instances n;
comment on view signal._tradables is 'Pairs and instances of other strategies as one.';
