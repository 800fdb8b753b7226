"""Limits and states by scope, the kill switch, authorisations, restrictions, locates, price bands."""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

SQL = """
-- sql/ has the new one, with a range of session time.
drop function if exists risk.set_limit(text, jsonb, numeric, text);

alter type risk.order_request add attribute sector text;
alter type risk.order_request add attribute authorisation_id bigint;

-- Limits -------------------------------------------------------------------------------------------

alter table risk.controls
    add column is_required boolean not null default true,
    add column is_floor boolean not null default false,
    add column period interval check (period > interval '0'),
    add column is_soft boolean not null default false;
comment on column risk.controls.is_required is
    'Where it needs a limit: an order that no limit covers is denied. Otherwise it is off there.';
comment on column risk.controls.is_floor is 'The order has to reach the value; the greatest limit binds.';
comment on column risk.controls.period is 'Of a control that counts over time: the window of a limit that names none.';
comment on column risk.controls.is_soft is 'A second person may authorise an order over it: risk.authorise_order.';

-- The values of a scope in one text, so that the limits of an order are found by equality.
alter table risk.limits
    add column period interval check (period > interval '0'),
    add column scope_key text collate "C" not null generated always as (
        coalesce(scope->>'session_id', '') || chr(31) || coalesce(scope->>'account', '') || chr(31)
        || coalesce(scope->>'strategy', '') || chr(31) || coalesce(scope->>'symbol', '') || chr(31)
        || coalesce(scope->>'venue', '') || chr(31) || coalesce(scope->>'sector', '')) stored;
create index limits_scope_idx on risk.limits (scope_key) where superseded_at = 'infinity';
comment on column risk.limits.period is 'Window of a control that counts over time: the control''s, where none was named.';

create table risk._shapes (
    by_session boolean not null,
    by_account boolean not null,
    by_strategy boolean not null,
    by_symbol boolean not null,
    by_venue boolean not null,
    by_sector boolean not null,
    primary key (by_session, by_account, by_strategy, by_symbol, by_venue, by_sector)
);
comment on table risk._shapes is
    'Which keys the scopes of limits and states have: an order is looked up once for each, whatever their number.';

create function risk._complete_scoped() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into risk._shapes values (new.scope ? 'session_id', new.scope ? 'account', new.scope ? 'strategy',
        new.scope ? 'symbol', new.scope ? 'venue', new.scope ? 'sector')
    on conflict do nothing;
    if tg_table_name = 'limits' then
        new.period := coalesce(new.period, (select c.period from risk.controls c where c.control = new.control));
    end if;
    return new;
end
$$;
create trigger complete_scoped before insert on risk.limits
    for each row execute function risk._complete_scoped();

-- States -------------------------------------------------------------------------------------------

alter table risk.halts
    add column state text not null default 'halted' check (state in ('reducing', 'halted')),
    add column scope_key text collate "C" not null generated always as (
        coalesce(scope->>'session_id', '') || chr(31) || coalesce(scope->>'account', '') || chr(31)
        || coalesce(scope->>'strategy', '') || chr(31) || coalesce(scope->>'symbol', '') || chr(31)
        || coalesce(scope->>'venue', '') || chr(31) || coalesce(scope->>'sector', '')) stored;
create index halts_scope_idx on risk.halts (scope_key) where resumed_at is null;
create trigger complete_scoped before insert on risk.halts
    for each row execute function risk._complete_scoped();
comment on table risk.halts is
    'Trading states by scope that are not active, each from halted_at until resumed_at; {} is everything. The strictest that covers an order counts.';

insert into risk._shapes
select distinct s.scope ? 'session_id', s.scope ? 'account', s.scope ? 'strategy', s.scope ? 'symbol',
    s.scope ? 'venue', s.scope ? 'sector'
from (select scope from risk.limits union all select scope from risk.halts) s;
-- Never analysed, it would be taken for thousands of rows.
analyze risk._shapes;

alter table oms.requests drop constraint requests_kind_check,
    add constraint requests_kind_check
        check (kind in ('submit', 'cancel', 'replace', 'cancel_all', 'settle', 'kill'));
create table risk.kills (
    kill_id bigint generated always as identity primary key,
    request_id uuid not null unique references oms.requests,
    scope jsonb not null check (jsonb_typeof(scope) = 'object'),
    reason text not null check (reason <> ''),
    halt_id bigint not null references risk.halts,
    as_of timestamptz,
    orders_found bigint[] not null,
    orders_cancelled bigint[] not null check (orders_cancelled <@ orders_found),
    killed_by text not null default session_user,
    killed_at timestamptz not null default clock_timestamp()
);
comment on table risk.kills is
    'Uses of the kill switch: the halt it set and the orders it cancelled, in one transaction.';
comment on column risk.kills.orders_found is 'Working and held orders of the scope.';
comment on column risk.kills.orders_cancelled is
    'Those of them that are over or whose venue is asked to cancel them; a cancel of the others was under way.';

-- Strategies ---------------------------------------------------------------------------------------

alter table signal.strategies add column enabled_at timestamptz not null default '-infinity';
comment on column signal.strategies.enabled_at is
    'Wall time of the last risk.enable_strategy: throttles count what came after.';
create table risk.strategy_audit (
    audit_id bigint generated always as identity primary key,
    strategy_id integer not null references signal.strategies,
    action text not null check (action in ('disabled', 'enabled')),
    reason text not null check (reason <> ''),
    acted_by text not null default session_user,
    recorded_at timestamptz not null default clock_timestamp()
);
create index on risk.strategy_audit (strategy_id, audit_id);
comment on table risk.strategy_audit is 'Who, or which control, disabled a strategy, and who enabled it again.';

-- Authorisations -----------------------------------------------------------------------------------

create table risk.authorisations (
    authorisation_id bigint generated always as identity primary key,
    session_id uuid not null references ops.sessions,
    account text not null references ref.accounts,
    strategy_id integer not null references signal.strategies,
    instrument_id integer not null references ref.instruments,
    side text not null check (side in ('buy', 'sell', 'sell_short')),
    order_type text not null,
    quantity numeric not null check (quantity > 0),
    limit_price numeric,
    stop_price numeric,
    operator text,
    controls text[] not null check (cardinality(controls) > 0),
    reason text not null check (reason <> ''),
    authorised_by text not null default session_user,
    authorised_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    revoked_by text,
    revoke_reason text,
    used_at timestamptz,
    order_id bigint unique references oms.orders deferrable initially deferred,
    check (authorised_at < expires_at and expires_at < 'infinity'),
    check ((used_at is null) = (order_id is null)),
    check (revoked_at is null or used_at is null),
    check (operator <> authorised_by)
);
comment on table risk.authorisations is
    'Orders that a second person allowed to exceed soft controls: one order each, until it expires (wall time).';
comment on column risk.authorisations.order_id is 'The order that used it.';

-- What the controls read ---------------------------------------------------------------------------

create table risk.restrictions (
    restriction_id bigint generated always as identity primary key,
    account text references ref.accounts,
    instrument_id integer not null references ref.instruments,
    side text check (side in ('buy', 'sell', 'sell_short')),
    reason text not null check (reason <> ''),
    valid_from timestamptz not null,
    valid_to timestamptz not null,
    set_by text not null default session_user,
    recorded_at timestamptz not null default clock_timestamp(),
    lifted_at timestamptz,
    lifted_by text,
    lift_reason text,
    check (valid_from < valid_to)
);
create index restrictions_current_idx on risk.restrictions (instrument_id) where lifted_at is null;
comment on table risk.restrictions is
    'The restricted list: instruments that must not be traded over a range of session time.';
comment on column risk.restrictions.account is 'Null: every account.';
comment on column risk.restrictions.side is 'Null: both; sell: every sale, short ones too; sell_short: those alone.';

create table risk.locates (
    locate_id bigint generated always as identity primary key,
    account text not null references ref.accounts,
    instrument_id integer not null references ref.instruments,
    trading_date date not null,
    quantity numeric not null check (quantity > 0 and quantity < 'infinity'),
    provider text not null check (provider <> ''),
    reference text not null check (reference <> ''),
    set_by text not null default session_user,
    recorded_at timestamptz not null default clock_timestamp(),
    withdrawn_at timestamptz,
    withdrawn_by text,
    withdraw_reason text
);
create unique index locates_current_key on risk.locates
    (account, instrument_id, trading_date, provider, reference) where withdrawn_at is null;
comment on table risk.locates is 'Shares that a provider located for short sales of an account on a trading date.';

create table risk.price_bands (
    price_band_id bigint generated always as identity primary key,
    session_id uuid references ops.sessions,
    instrument_id integer not null references ref.instruments,
    low numeric not null check (low > 0),
    high numeric not null check (high < 'infinity'),
    reason text not null check (reason <> ''),
    set_by text not null default session_user,
    valid_from timestamptz not null,
    valid_to timestamptz not null,
    recorded_at timestamptz not null default clock_timestamp(),
    superseded_at timestamptz not null default 'infinity',
    check (low < high),
    check (valid_from < valid_to)
);
create unique index price_bands_current_key on risk.price_bands (instrument_id, session_id, valid_from)
    where superseded_at = 'infinity';
comment on table risk.price_bands is
    'Prices within which an instrument may trade; bitemporal as risk.limits. Those of a session and those of all sessions both bind.';
comment on column risk.price_bands.session_id is 'Null: every session.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
