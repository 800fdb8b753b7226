-- What operators asked of the venues, and what came of it.
create or replace view venue.commands as
select c.command_no, c.venue, c.kind, c.parameters, c.requested_by, c.requested_at, c.done_at, c.result
from venue._commands c;
comment on view venue.commands is
    'Commands to the simulated venues; result says what came of one, null while it waits.';
grant select on venue.commands to tsdb_reader, tsdb_venue;
