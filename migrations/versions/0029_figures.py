"""Rates between currencies in limits, the risk monitor and value at risk."""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

SQL = """
-- Internal functions that change their arguments or what they return.
drop function if exists risk._exposure(
    risk.order_request, risk.order_request[], oms.orders, numeric, numeric, boolean);
drop function if exists risk._judge(risk.figures, timestamptz);
drop function if exists risk.measure_session(uuid, timestamptz);
drop function if exists risk.prepare_var(timestamptz);
drop function if exists risk._return_set(timestamptz);
drop function if exists risk._var_of(uuid, text, timestamptz);

alter table risk.var_settings
    add column max_rate_age interval not null default '4 days' check (max_rate_age >= '0');
comment on column risk.var_settings.max_rate_age is
    'How many days the closing rate between two currencies is used after its own, by limits on exposure and loss too.';

-- Why a figure is not known.
alter type risk.exposure add attribute problem text;
alter type risk.loss add attribute problem text;
alter type risk.figures add attribute problem text;
alter type risk.figures add attribute var_problem text;
alter table risk.breaches add column reason text;
comment on column risk.breaches.reason is 'Why the measure was not known when the breach began.';

-- Without a rate nothing of a mark is known in account currency.
alter table portfolio.pnl_history alter column realized_pnl drop not null, alter column fees drop not null;

-- Returns are those of a holder who counts in the account's currency. What was prepared before is of
-- instruments in their own: it stays for those in dollars, the rest is prepared anew by the next refresh.
alter table risk._return_sets add column currency text references ref.currencies;
update risk._return_sets set currency = 'USD';
alter table risk._return_sets alter column currency set not null;
comment on column risk._return_sets.currency is 'What the holder of the returns counts in.';
delete from risk._windows w using ref.instruments i
where i.instrument_id = w.instrument_id and i.currency <> 'USD';
-- Of draws that were correlated: made anew when they are asked for.
delete from risk._normals;
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
