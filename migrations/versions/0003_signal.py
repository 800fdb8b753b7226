"""Strategies, calibrated pairs, states and signals."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SQL = """
create table signal.strategies (
    strategy_id integer generated always as identity primary key,
    strategy text not null unique check (strategy ~ '^[a-z0-9_.-]{1,32}$'),
    description text not null,
    status text not null default 'active' check (status in ('active', 'disabled'))
);
comment on table signal.strategies is 'Who positions belong to. manual is for orders of named operators.';
insert into signal.strategies (strategy, description) values
    ('pairs', 'Statistical arbitrage of two legs by the z-score of their spread'),
    ('manual', 'Orders entered by named operators');

-- The three types of the pairs step function. A null mid in the input means the leg did not change.
create type signal.pairs_parameters as (
    hedge_ratio double precision,
    mean double precision,
    deviation double precision,
    entry double precision,
    exit double precision,
    stop double precision,
    half_life_s double precision,
    warm_up_s double precision,
    max_gap_s double precision,
    notional double precision
);
create type signal.pairs_input as (
    as_of timestamptz,
    mid_a double precision,
    mid_b double precision
);
-- as_of_a and as_of_b: when each leg last had a quote. warm_since is null once trading is allowed;
-- stopped is the side of the mean (-1, 1) on which a stop waits for the spread to come back, else 0.
create type signal.pairs_state as (
    as_of timestamptz,
    as_of_a timestamptz,
    as_of_b timestamptz,
    mid_a double precision,
    mid_b double precision,
    mean double precision,
    spread double precision,
    z_score double precision,
    warm_since timestamptz,
    target smallint,
    quantity_a bigint,
    quantity_b bigint,
    stopped smallint,
    event text
);

create table signal.pairs (
    pair_id bigint generated always as identity primary key,
    strategy_id integer not null references signal.strategies,
    instrument_a integer not null references ref.instruments,
    instrument_b integer not null references ref.instruments,
    parameters signal.pairs_parameters not null,
    statistics jsonb not null default '{}',
    feed_id integer references ops.feeds,
    calibrated_from timestamptz not null,
    calibrated_to timestamptz not null,
    data_watermark jsonb not null default '{}',
    code_version text not null,
    enabled boolean not null default true,
    valid_from timestamptz not null,
    valid_to timestamptz not null default 'infinity',
    recorded_at timestamptz not null default clock_timestamp(),
    superseded_at timestamptz not null default 'infinity',
    check (instrument_a <> instrument_b),
    check (calibrated_from < calibrated_to),
    -- Point in time: nothing is valid before the last tick it was calibrated on.
    check (valid_from >= calibrated_to),
    check (valid_from < valid_to)
);
create index on signal.pairs (strategy_id, instrument_a, instrument_b, valid_from);
comment on table signal.pairs is
    'Calibrated pairs, bitemporal: valid_from/to in market time, recorded_at/superseded_at in ours. Rows are superseded, never changed.';
comment on column signal.pairs.data_watermark is 'Which sources, up to which row, the calibration read.';

create table signal.session_pairs (
    session_id uuid not null references ops.sessions,
    pair_id bigint not null references signal.pairs,
    account text not null references ref.accounts,
    digest text not null,
    primary key (session_id, pair_id)
);
comment on table signal.session_pairs is
    'The pairs a session trades, pinned when it opens. digest: of the parameters then, checked by backtest.parity.';

create table signal.pair_states (
    session_id uuid not null,
    pair_id bigint not null,
    batch_id bigint not null,
    batch_no bigint not null,
    state signal.pairs_state not null,
    primary key (session_id, pair_id),
    foreign key (session_id, pair_id) references signal.session_pairs
) with (fillfactor = 50);
comment on table signal.pair_states is 'Where each pair of a session stands; select (state).* to read it.';

create table signal.consumed_batches (
    session_id uuid not null references ops.sessions,
    batch_id bigint not null references market.batches,
    consumption_no bigint not null,
    pairs_stepped integer not null,
    signals integer not null,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (session_id, batch_id),
    unique (session_id, consumption_no)
);
comment on table signal.consumed_batches is 'The order in which a session''s batches were stepped; backtest.parity replays it.';

create table signal.signals (
    as_of timestamptz not null,
    signal_id bigint generated always as identity,
    session_id uuid not null,
    strategy_id integer not null,
    pair_id bigint not null,
    batch_id bigint not null,
    batch_no bigint not null,
    event text not null check (event in ('enter_long', 'enter_short', 'exit', 'stop')),
    target smallint not null check (target in (-1, 0, 1)),
    spread double precision not null,
    z_score double precision not null,
    recorded_at timestamptz not null default clock_timestamp()
);
select public.create_hypertable('signal.signals', public.by_range('as_of', interval '30 days'),
                                create_default_indexes => false);
create index on signal.signals (session_id, as_of);
create index on signal.signals (signal_id);
comment on table signal.signals is 'Target positions, decided from market data alone. target: +1 long the spread, -1 short, 0 flat.';

create table signal.targets (
    as_of timestamptz not null,
    signal_id bigint not null,
    leg smallint not null,
    instrument_id integer not null,
    target_quantity numeric not null,
    mid double precision not null,
    quote_ts timestamptz not null,
    quote_ns smallint not null,
    quote_source_id integer not null,
    quote_seq bigint not null
);
select public.create_hypertable('signal.targets', public.by_range('as_of', interval '30 days'),
                                create_default_indexes => false);
create index on signal.targets (signal_id);
comment on table signal.targets is 'One row per leg of a signal, with the quote it was decided on.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
