"""Points of a sweep that could not be run, and one run per point."""

from __future__ import annotations

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

SQL = """
-- Functions that change their signature or what they return.
drop function if exists backtest.run_point(bigint, jsonb);
drop function if exists backtest.sweep(text, jsonb, jsonb, timestamptz, timestamptz, text);

-- Hashes, because a point may be longer than an index takes.
create unique index on backtest.runs (sweep_id, md5(changes::text)) where sweep_id is not null;
drop index backtest.runs_sweep_id_idx;

create table backtest.sweep_failures (
    sweep_id bigint not null references backtest.sweeps on delete cascade,
    point jsonb not null,
    sql_state text not null,
    message text not null,
    recorded_at timestamptz not null default clock_timestamp()
);
create unique index on backtest.sweep_failures (sweep_id, md5(point::text));
comment on table backtest.sweep_failures is 'Points of sweeps that could not be run, and why.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
