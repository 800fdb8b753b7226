-- What stands of each trade by others' account: their last word on it, quantity 0 after a bust.
create or replace view oms._standing_venue_trades as
select distinct on (t.venue_id, t.source, t.trade_date, t.root_exec_id)
    t.venue_id, t.source, t.trade_date, t.root_exec_id, t.cl_ord_id, t.venue_order_id, t.symbol, t.side,
    case when t.kind = 'trade_cancel' then 0 else t.quantity end as quantity, t.price,
    min(t.first_seen) over (partition by t.venue_id, t.source, t.trade_date, t.root_exec_id) as first_seen,
    max(t.first_seen) over (partition by t.venue_id, t.source, t.trade_date, t.root_exec_id) as last_seen
from oms.venue_trades t
order by t.venue_id, t.source, t.trade_date, t.root_exec_id, t.first_seen desc, t.kind <> 'trade' desc;
comment on view oms._standing_venue_trades is 'Each trade as a venue, drop copy or clearing file has it by now.';
