"""Backtest runs in the shapes of live trading."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SQL = """
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
    ts timestamptz not null,
    primary key (run_id, execution_id)
);
create table backtest.equity (
    run_id bigint not null references backtest.runs on delete cascade,
    as_of timestamptz not null,
    equity double precision not null,
    primary key (run_id, as_of)
);
comment on table backtest.orders is 'Simulated orders of a run.';
comment on table backtest.executions is 'Simulated fills of a run.';
comment on table backtest.equity is 'Marked profit since the start of a run, account currency.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
