"""Trees that route missing values, in single or double precision; pairs that have no test."""

from __future__ import annotations

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

SQL = """
-- Trees: a feature that stays null goes to the left where missing_lefts says so, else to the right.
-- in_double: features are compared as they are, not in single precision.
alter type signal.model_form add attribute missing_lefts boolean[];
alter type signal.model_form add attribute in_double boolean;

alter table signal.model_versions drop constraint model_versions_missing_check;
alter table signal.model_versions
    add constraint model_versions_missing_check check (missing in ('refuse', 'impute', 'route')),
    add constraint model_versions_route_check check (missing <> 'route' or scoring <> 'linear');
comment on column signal.model_versions.missing is
    'A row with a missing feature is refused, or filled as in training, or routed by the trees as in training.';

-- A pair whose spread hardly ever changes has no test.
alter table signal.calibration_refusals drop constraint calibration_refusals_reason_check;
alter table signal.calibration_refusals add constraint calibration_refusals_reason_check check (
    reason in ('too_few_days', 'missing_days', 'no_last_bar', 'bad_price', 'constant', 'bad_tick', 'distribution',
        'reverse_split', 'bad_action', 'no_sector', 'collinear', 'degenerate', 'hedge_ratio'));
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
