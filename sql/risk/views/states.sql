-- The trading states in force that are not active.
create or replace view risk.states as
select h.halt_id, h.scope, h.state, h.reason, h.halted_by as set_by, h.halted_at as since
from risk.halts h
where h.resumed_at is null;
comment on view risk.states is 'The trading states in force, by scope; what no row covers is active.';
