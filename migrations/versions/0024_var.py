"""Value at risk: daily returns, what is prepared from them, forecasts and the portfolios they were of."""

from __future__ import annotations

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

SQL = """
create table risk.var_settings (
    settings_id integer generated always as identity primary key,
    window_days integer not null default 500 check (window_days between 2 and 2000),
    confidence double precision not null default 0.99 check (confidence > 0.5 and confidence < 1),
    decay double precision not null default 0.94 check (decay > 0 and decay < 1),
    factors integer not null default 20 check (factors between 1 and 49),
    paths integer not null default 5000 check (paths between 100 and 5000),
    seed bigint not null default 1,
    max_gaps integer not null default 5 check (max_gaps >= 0),
    max_history_age interval not null default '7 days' check (max_history_age > '0'),
    max_mark_age interval not null default '4 days' check (max_mark_age > '0'),
    calendar text,
    reason text not null check (reason <> ''),
    set_by text not null default session_user,
    recorded_at timestamptz not null default clock_timestamp()
);
comment on table risk.var_settings is
    'How value at risk is measured; the last row counts. Rows are added by risk.set_var_settings, never changed.';
comment on column risk.var_settings.window_days is 'Days of history that every figure is of.';
comment on column risk.var_settings.decay is 'Weight of yesterday''s variance in today''s (EWMA).';
comment on column risk.var_settings.factors is 'Principal components kept of the returns'' covariance.';
comment on column risk.var_settings.max_gaps is
    'Days of the window that an instrument may have no close on; their return is in that of the next close.';
comment on column risk.var_settings.max_history_age is 'Beyond it the newest day of history is too old to use.';
comment on column risk.var_settings.max_mark_age is 'Beyond it the mark of a position is too old to use.';
comment on column risk.var_settings.calendar is
    'Exchange of ref.calendars whose trading dates count; null: dates in New York.';
insert into risk.var_settings (reason) values ('default');

create table risk.returns (
    instrument_id integer not null references ref.instruments,
    date date not null,
    simple_return double precision,
    since date,
    known_at timestamptz not null,
    feed_id integer not null references ops.feeds,
    reason text,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (instrument_id, date),
    check ((simple_return is null) = (reason is not null))
);
create index on risk.returns (date);
comment on table risk.returns is
    'Daily simple returns, close to close, of a holder who keeps what is paid: adjusted for splits, spin-offs and dividends. Written by risk.refresh_returns.';
comment on column risk.returns.simple_return is 'P&L of the day per unit held at the close of since; null: see reason.';
comment on column risk.returns.since is 'The date of the close before.';
comment on column risk.returns.known_at is 'When the day was over where the instrument trades.';
comment on column risk.returns.recorded_at is 'When this value was written: the later, the newer.';

create table risk._return_sets (
    set_id bigint generated always as identity primary key,
    settings_id integer not null references risk.var_settings,
    dates date[] not null,
    known_at timestamptz not null,
    watermark timestamptz not null,
    instruments integer not null,
    built_at timestamptz not null default clock_timestamp(),
    factored_at timestamptz
);
create index on risk._return_sets (known_at);
comment on table risk._return_sets is 'Windows of history that figures are made of, as known at a time.';

create table risk._windows (
    set_id bigint not null references risk._return_sets on delete cascade,
    instrument_id integer not null references ref.instruments,
    packed numeric,
    returns double precision[],
    gaps integer not null,
    reason text,
    loadings double precision[],
    packed_loadings numeric,
    specific_variance double precision,
    primary key (set_id, instrument_id),
    check ((packed is null) = (reason is not null))
);
alter table risk._windows alter packed set storage external, alter returns set storage external;
comment on table risk._windows is
    'The returns of an instrument over the dates of a set, oldest first, and its part in the set''s factors.';
comment on column risk._windows.packed is 'The returns as one number, see risk._pack.';
comment on column risk._windows.packed_loadings is 'A thousand times the loadings, as one number.';
comment on column risk._windows.loadings is
    'Covariance is loadings times loadings, over factors of variance 1, plus specific_variance on the diagonal.';

create table risk._normals (
    seed bigint not null,
    paths integer not null,
    factor integer not null,
    packed numeric not null,
    primary key (seed, paths, factor)
);
alter table risk._normals alter packed set storage external;
comment on table risk._normals is 'Standard normal draws of risk.draw_normal for a seed, one number per factor, see risk._pack.';

create table risk.var_history (
    session_id uuid not null references ops.sessions,
    account text not null references ref.accounts,
    strategy_id integer references signal.strategies,
    trading_date date not null,
    method text not null,
    confidence double precision not null,
    var double precision,
    expected_shortfall double precision,
    positions integer not null,
    observations integer,
    as_of timestamptz not null,
    watermark timestamptz,
    reason text,
    recorded_at timestamptz not null default clock_timestamp(),
    unique nulls not distinct (session_id, account, strategy_id, trading_date, method, confidence)
);
comment on table risk.var_history is
    'Forecasts of value at risk, the first of each trading date, by account and strategy; strategy_id null: the whole account.';
comment on column risk.var_history.trading_date is 'The date whose loss is forecast.';

create table risk.var_portfolios (
    session_id uuid not null references ops.sessions,
    account text not null references ref.accounts,
    strategy_id integer references signal.strategies,
    trading_date date not null,
    instrument_ids integer[] not null,
    position_values double precision[] not null,
    as_of timestamptz not null,
    recorded_at timestamptz not null default clock_timestamp(),
    unique nulls not distinct (session_id, account, strategy_id, trading_date)
);
comment on table risk.var_portfolios is
    'The positions, in account currency, that the forecasts of risk.var_history were of.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
