-- Every trading state there was: who set it, when and why, until when, and who ended it and why.
create or replace view risk.state_history as
select h.halt_id, h.scope, h.state, h.reason, h.halted_by as set_by, h.halted_at as since,
    h.resumed_at as until, h.resumed_by as ended_by, h.resume_reason as end_reason
from risk.halts h;
comment on view risk.state_history is
    'Every trading state there was. A change to another state ends one row and starts another at the same instant; between rows of a scope it was active.';
