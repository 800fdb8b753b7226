-- Faults that the venues are to have or had.
create or replace view venue.faults as
select f.fault_no, f.venue, f.kind, f.parameters, f.armed_by, f.armed_at, f.fired_at
from venue._faults f;
comment on view venue.faults is
    'Faults of the simulated venues: armed by operators, each fired once; fired_at is null until then.';
grant select on venue.faults to tsdb_reader, tsdb_venue;
