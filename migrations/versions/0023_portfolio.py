"""Lots, cash, currencies and corporate actions of the portfolio."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

SQL = """
-- Rates and cost shares are facts like the others: written by ref.record, asked as known at a time.

create table ref.fx_rates (
    base_currency text not null references ref.currencies,
    quote_currency text not null references ref.currencies,
    date date not null check (isfinite(date)),
    rate numeric not null check (rate > 0 and rate < 'infinity'),
    known_at timestamptz not null,
    superseded_at timestamptz not null default 'infinity',
    recorded_at timestamptz not null default clock_timestamp(),
    source text not null default '',
    primary key (base_currency, quote_currency, date, known_at),
    check (known_at < superseded_at),
    check (base_currency <> quote_currency)
);
create unique index fx_rates_current_key on ref.fx_rates (base_currency, quote_currency, date)
    where superseded_at = 'infinity';
comment on table ref.fx_rates is
    'Closing rates by day: rate of quote_currency for one of base_currency; see ref.fx_rate().';
comment on column ref.fx_rates.known_at is 'From when on one could know it.';
comment on column ref.fx_rates.superseded_at is
    'When a correction or a withdrawal of it became known; infinity: it still stands.';
insert into ref.fact_kinds (kind, key_columns, alone_columns, defaults) values
    ('fx_rates', '{base_currency,quote_currency,date}', null, '{}');

alter table ref.spin_offs
    add column cost_share numeric check (cost_share >= 0 and cost_share <= 1);
comment on column ref.spin_offs.cost_share is
    'Part of the holding''s cost that goes to the child, as its company published it; null: none of it is moved.';

-- What a position went through, in order, and what became of each of it.

create type portfolio._event as (
    kind text,
    trade_date date,
    ts timestamptz,
    execution_id bigint,
    quantity numeric,
    price numeric,
    fee numeric,
    cost numeric,
    new_shares numeric,
    old_shares numeric,
    digits integer,
    currency text,
    opened_on date,
    lots bigint[],
    shares numeric[]
);
create type portfolio._line as (
    line text,
    n integer,
    kind text,
    trade_date date,
    ts timestamptz,
    execution_id bigint,
    opening_execution_id bigint,
    opened_on date,
    opened_at timestamptz,
    held numeric,
    "position" numeric,
    position_cost numeric,
    quantity numeric,
    cost numeric,
    realized numeric,
    cash numeric,
    fee numeric,
    income numeric,
    currency text
);

create table portfolio.lot_assignments (
    assignment_id bigint generated always as identity primary key,
    execution_id bigint not null,
    opening_execution_id bigint not null,
    quantity numeric not null check (quantity >= 0 and quantity < 'infinity'),
    reason text not null check (reason <> ''),
    assigned_by text not null default session_user,
    recorded_at timestamptz not null default clock_timestamp()
);
create index on portfolio.lot_assignments (execution_id, opening_execution_id, assignment_id);
create trigger refuse_change before update or delete on portfolio.lot_assignments
    for each row execute function oms._refuse_change();
comment on table portfolio.lot_assignments is
    'Which lots a person says an execution closed, for the method specific; append-only, the last row of a pair counts, quantity 0 takes it back.';

create table portfolio._cash_entries (
    entry_id bigint generated always as identity primary key,
    session_id uuid not null references ops.sessions,
    account text not null references ref.accounts,
    strategy_id integer references signal.strategies,
    instrument_id integer references ref.instruments,
    kind text not null check (kind in ('deposit', 'withdrawal', 'transfer', 'funding', 'interest', 'fee',
        'dividend', 'cash_in_lieu', 'conversion', 'correction')),
    currency text not null references ref.currencies,
    amount numeric not null check (amount <> 0 and abs(amount) < 'infinity'),
    trade_date date not null check (isfinite(trade_date)),
    ts timestamptz not null check (isfinite(ts)),
    reference text not null check (reference <> ''),
    reason text not null default '',
    booked_by text not null default session_user,
    recorded_at timestamptz not null default clock_timestamp(),
    unique (session_id, account, reference),
    check (kind <> 'deposit' or amount > 0),
    check (kind <> 'withdrawal' or amount < 0),
    check (instrument_id is null or strategy_id is not null)
);
create index on portfolio._cash_entries (session_id, account, strategy_id, instrument_id);
create trigger refuse_change before update or delete on portfolio._cash_entries
    for each row execute function oms._refuse_change();
comment on table portfolio._cash_entries is
    'Cash that no execution and no corporate action explains, written by portfolio.book_cash; append-only. portfolio.cash_entries has all cash.';

-- The live positions.

alter table portfolio._positions
    add column dividends numeric default 0,
    add column last_trade_date date;
comment on column portfolio._positions.dividends is
    'Of applied corporate actions, in the instrument''s currency; null: one is in a currency without a rate of its day.';
comment on column portfolio._positions.last_trade_date is
    'The latest one booked: a fill of an earlier date takes its place in the order, and the position is booked anew.';

create table portfolio.applied_actions (
    session_id uuid primary key references ops.sessions,
    applied_through date not null check (isfinite(applied_through)),
    updated_at timestamptz not null default clock_timestamp()
);
comment on table portfolio.applied_actions is
    'Up to which ex date the corporate actions are in a session''s live positions.';

create table portfolio.position_changes (
    change_id bigint generated always as identity primary key,
    session_id uuid not null,
    account text not null,
    strategy_id integer not null,
    instrument_id integer not null,
    trading_date date not null,
    before jsonb not null,
    after jsonb not null,
    applied_by text not null default session_user,
    recorded_at timestamptz not null default clock_timestamp()
);
create index on portfolio.position_changes (session_id, trading_date);
create trigger refuse_change before update or delete on portfolio.position_changes
    for each row execute function oms._refuse_change();
comment on table portfolio.position_changes is
    'What portfolio.apply_corporate_actions changed in the live positions, and who had it do so; append-only.';

-- Its new form, with the trade date, comes with the manifest.
drop function if exists portfolio._book_fill(uuid, text, integer, integer, numeric, numeric, numeric);
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
