"""Rollups: what was declared, and what is not materialised yet."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SQL = """
create table market.rollups (
    rollup text primary key check (rollup ~ '^[a-z][a-z0-9_]*$'),
    source text not null,
    bucket interval not null,
    native boolean not null,
    query text not null,
    grouping text not null,
    view_query text not null,
    recorded_at timestamptz not null default clock_timestamp()
);
comment on table market.rollups is
    'Rollups as declared with market.declare_rollup. native: TimescaleDB keeps it (continuous aggregate).';

create table market.rollup_invalidations (
    invalidation_id bigint generated always as identity primary key,
    rollup text not null references market.rollups on delete cascade,
    from_bucket timestamptz not null,
    to_bucket timestamptz not null,
    check (from_bucket < to_bucket)
);
create index on market.rollup_invalidations (rollup);
comment on table market.rollup_invalidations is
    'Buckets of rollups whose ticks changed since they were materialised: from_bucket <= bucket < to_bucket.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
