"""Rules of a batch are folded together: what is handed from one function to the next."""

from __future__ import annotations

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

SQL = """
drop function if exists signal._fold_rule(signal.rules, signal.rule_kept[], signal.rule_event[], double precision);
drop function if exists signal._evaluate_rule(market.batches, integer, signal.rule_event[]);
drop function if exists signal._scan_rule(signal.rules, uuid, bigint, bigint);
drop type if exists signal.rule_kept;
create type signal.rule_kept as (
    rule_id integer,
    key integer,
    windows double precision[],
    machine signal.rule_machine
);
-- A rule, one of its keys, and the events to fold into its state.
create type signal.rule_call as (
    rule_id integer,
    key integer,
    windows double precision[],
    machine signal.rule_machine,
    events signal.rule_event[]
);
-- What a rule found, or an error (found null).
create type signal.rule_result as (
    rule_id integer,
    first_batch_no bigint,
    key integer,
    found signal.rule_found,
    error signal.rule_error
);
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
