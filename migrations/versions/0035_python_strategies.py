"""Strategies written in Python: their registration, and the states that a worker hands over."""

from __future__ import annotations

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

SQL = """
-- Functions that change their signature.
drop function if exists backtest.run(text, jsonb, timestamptz, timestamptz, text);

alter table signal.strategies
    add column python_class text,
    add column python_hash text,
    add column state_fields jsonb,
    add column parameter_fields jsonb,
    add check (num_nulls(python_class, python_hash, state_fields, parameter_fields) in (0, 4)),
    add check (num_nulls(step, python_class) > 0);
comment on column signal.strategies.python_class is 'module:Class of a strategy written in Python; the signals worker steps it.';
comment on column signal.strategies.python_hash is 'Of the source of its module when registered: another one is not stepped.';
comment on column signal.strategies.parameter_fields is 'Of a Python strategy: name, kind and nullable of each parameter, in order.';
comment on column signal.strategies.state_fields is 'Of a Python strategy: name, kind and nullable of each field of its state.';

-- What the database needs of a Python strategy's state; body has the other fields.
create type signal.python_state as (
    event text,
    quantities bigint[],
    score double precision,
    body jsonb
);

create table signal.python_batches (
    session_id uuid not null references ops.sessions,
    batch_no bigint not null,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (session_id, batch_no)
);
comment on table signal.python_batches is
    'Batches whose inputs were read for the Python strategies of a session.';

create table signal.python_steps (
    session_id uuid not null references ops.sessions,
    instance_id bigint not null,
    batch_no bigint not null,
    as_of timestamptz not null,
    state jsonb not null,
    primary key (session_id, instance_id, batch_no, as_of)
);
comment on table signal.python_steps is
    'The state after every step of a Python strategy, as a worker handed it over; append-only.';
select public.create_hypertable('signal.python_steps', public.by_range('as_of', interval '1 day'),
    create_default_indexes => false);
create trigger refuse_change before update or delete on signal.python_steps
    for each row execute function oms._refuse_change();
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
