"""Quality rules."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SQL = """
create table market.quality_rules (
    rule text primary key check (rule ~ '^[a-z][a-z0-9_]*$'),
    stage text not null check (stage in ('load', 'check')),
    threshold double precision not null check (threshold >= 0 and threshold < 'infinity'),
    unit text not null,
    description text not null,
    recorded_at timestamptz not null default clock_timestamp()
);
comment on table market.quality_rules is
    'What counts as wrong in market data. stage load: decides what is stored and what is quarantined; check: counted by market.quality.';
insert into market.quality_rules (rule, stage, threshold, unit, description) values
    ('cross_absolute', 'load', 0.02, 'price',
     'A quote crossed by more than this, and by more than cross_relative, is quarantined.'),
    ('cross_relative', 'load', 0.0025, 'part of the ask',
     'A quote crossed by more than this, and by more than cross_absolute, is quarantined.'),
    ('bar_relative', 'load', 0.05, 'part of the close',
     'A bar whose open or close lies farther outside of low to high is quarantined.'),
    ('future_s', 'load', 86400, 'seconds',
     'A time farther ahead of the clock is quarantined.');
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
