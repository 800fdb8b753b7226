-- How the simulated venues work. Participants' passwords are not here.
create or replace view venue.settings as
select s.venue, s.matching, s.self_trade, s.static_band, s.dynamic_band, s.minimum_share, s.top_order,
    s.opening_auction, s.opens_at, s.closing_auction, s.closes_at, s.throttle_messages,
    s.throttle_mode, s.cancel_on_disconnect, s.latency_ms, s.pending_ms, s.maker_fee, s.taker_fee,
    s.updated_at, s.calendar
from venue._settings s;
comment on view venue.settings is
    'How the simulated venues work; changed with venue.configure, read when the venue''s process starts.';
grant select on venue.settings to tsdb_reader, tsdb_venue;
