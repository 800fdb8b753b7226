"""A run records the instances whose step failed, and goes on without them."""

from __future__ import annotations

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

SQL = """
-- Functions that change what they return.
drop function if exists backtest._states(
    jsonb, timestamptz[], backtest.price_series[], timestamptz, timestamptz, boolean);
drop function if exists backtest._step_instances(
    jsonb, timestamptz[], backtest.price_series[], timestamptz, timestamptz, boolean);
drop function if exists backtest._step_pairs(jsonb, timestamptz[], backtest.price_series[], timestamptz, boolean);
drop function if exists backtest._python_states(
    jsonb, timestamptz[], backtest.price_series[], timestamptz, timestamptz, boolean);

create type backtest.run_state as (
    instance_id bigint,
    moment integer,
    as_of timestamptz,
    event text,
    target smallint,
    spread double precision,
    z_score double precision,
    instruments integer[],
    quantities bigint[],
    digest text,
    sql_state text,
    problem text
);
comment on type backtest.run_state is 'A state of an instance of a run; with a problem, what stopped it at this step.';

alter type backtest.run_decision add attribute sql_state text;
alter type backtest.run_decision add attribute problem text;

create table backtest.run_errors (
    run_id bigint not null references backtest.runs on delete cascade,
    instance_id bigint not null,
    as_of timestamptz not null,
    sql_state text not null,
    message text not null,
    primary key (run_id, instance_id)
);
comment on table backtest.run_errors is
    'Instances of backtests whose step failed: from as_of on they were not stepped, the others went on.';
comment on column backtest.run_errors.as_of is 'Time of the step that failed.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
