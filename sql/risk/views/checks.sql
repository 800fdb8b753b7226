-- One row per order and control, unpacked from risk.decisions.
create or replace view risk.checks as
select d.order_id, c.control, c.passed, c.reason, c.observed, c.limit_value, d.decided_at, d.as_of,
    d.decision_id
from risk.decisions d
cross join lateral unnest(d.controls, d.passes, d.reasons, d.observed, d.limit_values)
    as c (control, passed, reason, observed, limit_value);
comment on view risk.checks is 'Every pre-trade control of every order, denied ones included, with what was seen and what was allowed.';
