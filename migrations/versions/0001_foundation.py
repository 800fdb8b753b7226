"""Roles, schemas, reference data, sessions and operations."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQL = """
create extension if not exists timescaledb schema public;

-- Roles belong to the cluster: the private server makes them with passwords, any other server
-- gets them here without a login.
do $$
declare
    v_role text;
begin
    foreach v_role in array array['tsdb_worker', 'tsdb_venue', 'tsdb_quant', 'tsdb_readonly',
                                  'tsdb_operator'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = v_role) then
            execute pg_catalog.format('create role %I nologin', v_role);
        end if;
    end loop;
end
$$;

create schema ref;
create schema market;
create schema signal;
create schema oms;
create schema risk;
create schema portfolio;
create schema tca;
create schema backtest;
create schema if not exists ops;
create schema venue;

comment on schema ref is 'Instruments, venues and accounts.';
comment on schema market is 'Ticks, batches, quarantine and rollups.';
comment on schema signal is 'Strategies, parameters, states and signals.';
comment on schema oms is 'Orders, executions, FIX messages and reconciliation.';
comment on schema risk is 'Limits, halts and decisions.';
comment on schema portfolio is 'Positions, cash, marks and P&L.';
comment on schema tca is 'Transaction cost views.';
comment on schema backtest is 'Runs with their simulated orders, fills and equity; parity.';
comment on schema ops is 'Sessions, heartbeats, leases, alerts, latency.';
comment on schema venue is 'Journal of the simulated venues: theirs alone, never joined with oms.';

-- Functions are granted one by one; what a role may read follows from the schema.
alter default privileges revoke execute on functions from public;
grant usage on schema ref, market, signal, oms, risk, portfolio, tca, backtest, ops
    to tsdb_worker, tsdb_quant, tsdb_readonly, tsdb_operator;
grant usage on schema venue to tsdb_readonly, tsdb_operator, tsdb_quant;
grant usage on schema ref, market, ops, venue to tsdb_venue;
alter default privileges in schema ref, market, signal, oms, risk, portfolio, tca, backtest, ops
    grant select on tables to tsdb_worker, tsdb_quant, tsdb_readonly, tsdb_operator;
alter default privileges in schema venue
    grant select on tables to tsdb_readonly, tsdb_operator, tsdb_quant;
alter default privileges in schema ref, market, ops grant select on tables to tsdb_venue;
alter default privileges in schema venue grant select, insert, update on tables to tsdb_venue;
alter default privileges in schema venue grant usage on sequences to tsdb_venue;
alter default privileges in schema market, ops, signal, portfolio
    grant usage on sequences to tsdb_worker;

create table ref.currencies (
    currency text primary key check (currency ~ '^[A-Z]{3}$')
);
comment on table ref.currencies is 'ISO 4217 codes that amounts may be in.';

create table ref.instruments (
    instrument_id integer generated always as identity primary key,
    symbol text not null unique check (symbol ~ '^[A-Z0-9][A-Z0-9./-]{0,23}$'),
    name text,
    kind text not null default 'equity' check (kind in ('equity', 'etf', 'fx', 'future', 'crypto')),
    currency text not null default 'USD' references ref.currencies,
    sector text,
    price_scale smallint not null default 4 check (price_scale between 0 and 8),
    size_scale smallint not null default 0 check (size_scale between 0 and 8),
    price_unit double precision not null
        generated always as (power(10::double precision, price_scale::double precision)) stored,
    size_unit double precision not null
        generated always as (power(10::double precision, size_scale::double precision)) stored,
    tick_size numeric not null default 0.01 check (tick_size > 0),
    lot_size numeric not null default 1 check (lot_size > 0),
    status text not null default 'active'
        check (status in ('active', 'inactive', 'restricted', 'halted')),
    recorded_at timestamptz not null default clock_timestamp()
);
comment on table ref.instruments is 'What can be quoted and traded.';
comment on column ref.instruments.price_scale is
    'Decimals of stored market-data prices: a stored price is price * 10^price_scale.';
comment on column ref.instruments.price_unit is '10^price_scale: divide a stored price by it.';

create table ref.venues (
    venue_id integer generated always as identity primary key,
    venue text not null unique check (venue ~ '^[A-Z0-9_]{1,16}$'),
    name text not null,
    kind text not null default 'lit' check (kind in ('lit', 'dark')),
    simulated boolean not null,
    fee_per_share numeric not null default 0,
    status text not null default 'active' check (status in ('active', 'inactive', 'halted'))
);
comment on table ref.venues is 'Where orders can go. fee_per_share: account currency, our cost if positive.';

create table ref.accounts (
    account text primary key check (account ~ '^[a-z0-9_.-]{1,32}$'),
    currency text not null default 'USD' references ref.currencies,
    status text not null default 'active' check (status in ('active', 'inactive'))
);
comment on table ref.accounts is 'Trading accounts. suspense holds fills of orders nobody knows.';

insert into ref.currencies values ('USD'), ('EUR'), ('GBP'), ('JPY'), ('CHF');
insert into ref.accounts (account) values ('main'), ('suspense');
insert into ref.venues (venue, name, simulated, fee_per_share) values
    ('SIM', 'Simulated lit venue', true, 0.003);

create table ops.installation (
    one boolean primary key default true check (one),
    prefix text not null check (prefix ~ '^[A-Z0-9]{6}$'),
    recorded_at timestamptz not null default clock_timestamp()
);
comment on table ops.installation is
    'One row. prefix starts every ClOrdID, so that a database made anew cannot repeat one.';
insert into ops.installation (prefix)
select upper(substr(translate(encode(public_random.b, 'base64'), '+/=', 'XYZ'), 1, 6))
from (select uuid_send(gen_random_uuid()) as b) public_random;

create table ops.sessions (
    session_id uuid primary key default gen_random_uuid(),
    kind text not null check (kind in ('live', 'paper', 'replay', 'backtest')),
    name text not null,
    status text not null default 'open' check (status in ('open', 'closed', 'failed')),
    feed_id integer,
    from_ts timestamptz,
    to_ts timestamptz,
    batch_interval interval not null default '1 second' check (batch_interval > '0'),
    parameters jsonb not null default '{}',
    opened_at timestamptz not null default clock_timestamp(),
    closed_at timestamptz,
    check ((status = 'open') = (closed_at is null)),
    check (kind <> 'replay' or (feed_id is not null and from_ts < to_ts))
);
comment on table ops.sessions is
    'Everything that trades belongs to one of these. The one named suspense takes fills that belong to none.';
comment on column ops.sessions.from_ts is 'A replay covers ticks with from_ts < ts <= to_ts.';

insert into ops.sessions (session_id, kind, name, status, closed_at)
values ('00000000-0000-0000-0000-000000000000', 'live', 'suspense', 'closed', clock_timestamp());

create table ops.feeds (
    feed_id integer generated always as identity primary key,
    feed text not null unique,
    format text not null,
    configuration jsonb not null default '{}',
    recorded_at timestamptz not null default clock_timestamp()
);
comment on table ops.feeds is 'Named origins of market data, files and streams.';
alter table ops.sessions add foreign key (feed_id) references ops.feeds;

create table ops.leases (
    lease text primary key,
    owner text not null,
    epoch bigint not null,
    expires_at timestamptz not null,
    renewed_at timestamptz not null
);
comment on table ops.leases is 'One owner per singleton job. epoch rises with every new owner.';

create table ops.heartbeats (
    worker text primary key,
    kind text not null,
    pid integer not null,
    host text not null,
    status text not null,
    detail jsonb not null default '{}',
    started_at timestamptz not null,
    beat_at timestamptz not null
);
comment on table ops.heartbeats is 'One row per worker, its own view of its state.';

create table ops.alerts (
    alert_id bigint generated always as identity primary key,
    kind text not null,
    severity text not null check (severity in ('info', 'warning', 'critical')),
    message text not null,
    detail jsonb not null default '{}',
    raised_at timestamptz not null default clock_timestamp(),
    resolved_at timestamptz
);
comment on table ops.alerts is 'What a person must know. Each kind has an entry in docs/runbook.md.';

create table ops.jobs (
    job_run_id bigint generated always as identity primary key,
    job text not null,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    succeeded boolean,
    detail jsonb not null default '{}'
);
comment on table ops.jobs is 'Runs of scheduled jobs.';

create table ops.schema_files (
    path text primary key,
    sha256 text not null,
    applied_at timestamptz not null default clock_timestamp()
);
comment on table ops.schema_files is 'The files of sql/manifest.txt as last applied.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
