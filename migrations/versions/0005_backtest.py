"""Backtest runs in the shapes of live trading."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SQL = """
create table backtest.cost_models (
    cost_model text primary key check (cost_model ~ '^[a-z0-9_.-]{1,32}$'),
    description text not null,
    spread_share numeric not null check (spread_share >= 0),
    bar_half_spread_bps numeric not null check (bar_half_spread_bps >= 0),
    fee_per_share numeric not null check (fee_per_share >= 0)
);
comment on table backtest.cost_models is 'What a simulated fill costs.';
comment on column backtest.cost_models.spread_share is
    'Share of the half spread paid on quotes: 0 fills at the mid, 1 at the adverse side.';
comment on column backtest.cost_models.bar_half_spread_bps is
    'Half spread assumed on bars, which have no quotes, in basis points of the close.';
insert into backtest.cost_models values
    ('none', 'Fills at the mid, no fees', 0, 0, 0),
    ('realistic', 'Fills at the adverse side of the quote, a fee per share', 1, 2, 0.003);

create table backtest.runs (
    run_id bigint generated always as identity primary key,
    strategy text not null,
    parameters jsonb not null,
    from_ts timestamptz,
    to_ts timestamptz,
    costs text not null,
    code_hash text not null,
    data_watermark jsonb not null,
    run_by text not null default session_user,
    trades bigint,
    total_return double precision,
    sharpe double precision,
    max_drawdown double precision,
    turnover double precision,
    cost_amount double precision,
    elapsed_ms double precision,
    recorded_at timestamptz not null default clock_timestamp()
);
comment on table backtest.runs is 'Every run with what it takes to repeat it.';

create table backtest.signals (
    run_id bigint not null references backtest.runs on delete cascade,
    pair_id bigint not null references signal.pairs,
    as_of timestamptz not null,
    event text not null,
    target smallint not null,
    spread double precision not null,
    z_score double precision not null,
    primary key (run_id, pair_id, as_of)
);
create table backtest.orders (
    run_id bigint not null references backtest.runs on delete cascade,
    order_id bigint not null,
    pair_id bigint not null,
    instrument_id integer not null references ref.instruments,
    event text not null,
    side text not null,
    quantity numeric not null,
    order_type text not null,
    status text not null,
    as_of timestamptz not null,
    primary key (run_id, order_id)
);
create table backtest.executions (
    run_id bigint not null references backtest.runs on delete cascade,
    execution_id bigint not null,
    order_id bigint not null,
    instrument_id integer not null references ref.instruments,
    side text not null,
    quantity numeric not null,
    price numeric not null,
    fee numeric not null,
    slippage numeric not null,
    ts timestamptz not null,
    primary key (run_id, execution_id)
);
create table backtest.equity (
    run_id bigint not null references backtest.runs on delete cascade,
    as_of timestamptz not null,
    equity double precision not null,
    primary key (run_id, as_of)
);
-- One leg of a signal with the quote it was decided on, for comparisons.
create type backtest.leg_target as (
    as_of timestamptz,
    instrument_id integer,
    target_quantity numeric,
    mid double precision,
    quote_ts timestamptz,
    quote_ns smallint,
    quote_source_id integer,
    quote_seq bigint
);
comment on table backtest.signals is 'Signals of a run; over a stored session they equal the live ones.';
comment on table backtest.orders is 'Simulated orders of a run.';
comment on table backtest.executions is 'Simulated fills of a run.';
comment on column backtest.executions.slippage is 'What the fill paid beyond the mid, account currency.';
comment on table backtest.equity is 'Marked profit since the start of a run, account currency.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
