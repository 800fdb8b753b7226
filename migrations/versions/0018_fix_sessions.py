"""FIX sessions of the gateway as rows."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

SQL = (
    """
create table oms.fix_sessions (
    fix_session text primary key check (fix_session ~ '^[A-Za-z0-9_.-]{1,48}$'),
    venue_id integer not null references ref.venues,
    kind text not null default 'order' check (kind in ('order', 'drop_copy')),
    version text not null default 'FIX.4.4' check (version in ('FIX.4.2', 'FIX.4.4', 'FIX.5.0SP2')),
    host text,
    port integer check (port between 1 and 65535),
    sender text not null default 'TSDB' check (sender ~ '^[A-Za-z0-9_.-]+$'),
    target text not null check (target ~ '^[A-Za-z0-9_.-]+$'),
    heartbeat_s integer not null default 10 check (heartbeat_s between 1 and 300),
    throttle_per_s integer check (throttle_per_s > 0),
    queue_alert_s numeric not null default 30 check (queue_alert_s > 0),
    stale_s numeric default 60 check (stale_s > 0),
    silence_s numeric default 5 check (silence_s between 1 and 6),
    cancel_on_disconnect boolean not null default false,
    has_mass_status boolean not null default true,
    has_mass_cancel boolean not null default true,
    has_trade_capture boolean not null default true,
    mass_status_every_s integer default 60 check (mass_status_every_s > 0),
    trades_every_s integer default 300 check (trades_every_s > 0),
    status text not null default 'active' check (status in ('active', 'inactive')),
    updated_at timestamptz not null default clock_timestamp(),
    -- What the engine's message store is named after.
    unique (sender, target, version)
);
-- The outbox is the venue's: two sessions would send it twice.
create unique index fix_sessions_order_idx on oms.fix_sessions (venue_id)
    where kind = 'order' and status = 'active';
comment on table oms.fix_sessions is
    'FIX sessions that the gateway keeps; passwords are in the environment or in files, never here.';
comment on column oms.fix_sessions.kind is
    'order: orders leave and reports come; drop_copy: copies of executions come, no order leaves.';
comment on column oms.fix_sessions.host is 'Null: TSDB_TRADER_FIX_HOST.';
comment on column oms.fix_sessions.port is 'Null: TSDB_TRADER_FIX_PORT, the private simulated venues.';
comment on column oms.fix_sessions.sender is 'SenderCompID, ours.';
comment on column oms.fix_sessions.target is 'TargetCompID, the venue''s.';
comment on column oms.fix_sessions.throttle_per_s is
    'Messages in any second at most; what is more waits, cancels before the rest. Null: no limit.';
comment on column oms.fix_sessions.queue_alert_s is 'A message that has waited so long raises an alert.';
comment on column oms.fix_sessions.stale_s is
    'An order or replace that has waited longer than this is refused instead of sent. Null: never.';
comment on column oms.fix_sessions.silence_s is
    'Dead-man''s switch: after so long without the database the venue is asked to cancel everything. Null: off.';
comment on column oms.fix_sessions.cancel_on_disconnect is
    'Cancel everything before a clean logout; what happens after a lost connection is up to the venue.';
comment on column oms.fix_sessions.has_mass_status is
    'The venue answers OrderMassStatusRequest, if the version has it; if not, it is asked order by order.';
comment on column oms.fix_sessions.has_mass_cancel is
    'The venue takes OrderMassCancelRequest, if the version has it; if not, a cancel per order.';
comment on column oms.fix_sessions.has_trade_capture is
    'The venue answers TradeCaptureReportRequest, if the version has it; if not, fills come from reports alone.';
comment on column oms.fix_sessions.mass_status_every_s is 'How often working orders are compared. Null: after a logon only.';
comment on column oms.fix_sessions.trades_every_s is 'How often trades are compared. Null: after a logon only.';

-- The simulated venues wait for a replay however long it takes.
insert into oms.fix_sessions (fix_session, venue_id, target, stale_s, silence_s)
select v.venue, v.venue_id, v.venue, null, null from ref.venues v
where v.venue in ('SIM', 'SIMPR', 'SIMDARK')
order by v.venue_id;

-- Cancels overtake what waits.
create index order_actions_cancels_idx on oms.order_actions (venue_id, action_id)
    where status = 'pending' and kind = 'cancel';

insert into oms.order_transitions (from_status, to_status, why) values
    ('pending_cancel', 'pending_new', 'our cancel could not be sent, the order is not acknowledged yet');
"""
    ""
)


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
