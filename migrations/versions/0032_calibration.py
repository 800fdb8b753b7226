"""Calibrations of the pairs strategy on daily bars: their runs, what they refused, their schedule."""

from __future__ import annotations

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

SQL = """
create table signal.calibrations (
    calibration_id bigint generated always as identity primary key,
    strategy_id integer not null references signal.strategies,
    feed_id integer not null references ops.feeds,
    calibrated_from timestamptz not null,
    calibrated_to timestamptz not null,
    valid_to timestamptz not null,
    arguments jsonb not null,
    days integer not null check (days >= 0),
    symbols integer not null check (symbols >= 0),
    tested bigint not null check (tested >= 0),
    eligible bigint not null check (eligible >= 0),
    kept integer not null check (kept >= 0),
    refused integer not null check (refused >= 0),
    passed_over jsonb not null,
    data_watermark jsonb not null,
    code_version text not null,
    elapsed interval not null,
    run_by text not null default session_user,
    recorded_at timestamptz not null default clock_timestamp(),
    check (calibrated_from < calibrated_to),
    check (calibrated_to < valid_to)
);
create index on signal.calibrations (feed_id, calibrated_to);
comment on table signal.calibrations is
    'Calibrations on daily bars, one row per run and formation period. Written by signal.save_calibration.';
comment on column signal.calibrations.calibrated_to is
    'End of the formation period: no bar of its day or later was read; the pairs are valid from then on.';
comment on column signal.calibrations.days is 'Trading days of the formation period.';
comment on column signal.calibrations.symbols is 'Symbols whose bars could be used.';
comment on column signal.calibrations.tested is 'Pairs tested: what the false discovery rate is over.';
comment on column signal.calibrations.eligible is 'Tested pairs that fulfilled every condition; the best of them were kept.';
comment on column signal.calibrations.refused is 'Rows of signal.calibration_refusals.';
comment on column signal.calibrations.passed_over is 'How many tested pairs failed a condition, by condition.';

create table signal.calibration_refusals (
    calibration_id bigint not null references signal.calibrations,
    instrument_a integer not null references ref.instruments,
    instrument_b integer references ref.instruments,
    reason text not null check (reason in ('too_few_days', 'missing_days', 'no_last_bar', 'bad_price', 'constant',
        'bad_tick', 'distribution', 'reverse_split', 'bad_action', 'no_sector', 'collinear', 'hedge_ratio')),
    detail text not null,
    unique nulls not distinct (calibration_id, instrument_a, instrument_b)
);
comment on table signal.calibration_refusals is
    'Symbols (instrument_b null) and pairs that a calibration could not use, and why.';

create table signal.calibration_schedules (
    feed_id integer primary key references ops.feeds,
    enabled boolean not null,
    arguments jsonb not null,
    set_by text not null default session_user,
    set_at timestamptz not null default clock_timestamp()
);
comment on table signal.calibration_schedules is
    'Feeds whose pairs the scheduler calibrates at every formation end, and how. Set by signal.schedule_calibration.';

alter table signal.pairs add column calibration_id bigint references signal.calibrations;
create index on signal.pairs (feed_id, valid_from) where superseded_at = 'infinity';
comment on column signal.pairs.calibration_id is
    'The calibration on daily bars that chose the pair; null: calibrated by itself (signal.save_pair).';

grant usage on schema signal to tsdb_worker_scheduler;
grant select on ops.feeds, signal.pairs, signal.calibrations, signal.calibration_schedules
    to tsdb_worker_scheduler;
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
