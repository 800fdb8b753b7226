"""The risk monitor: limits after the trade, breaches, reduction plans."""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

SQL = """
create table risk.monitor_measures (
    measure text primary key,
    unit text not null,
    soft_state text check (soft_state in ('reducing', 'halted')),
    hard_state text check (hard_state in ('reducing', 'halted')),
    description text not null
);
comment on table risk.monitor_measures is
    'What the risk monitor measures after the trade, and the trading state a breach of either limit sets.';
insert into risk.monitor_measures (measure, unit, soft_state, hard_state, description) values
    ('daily_loss', 'account currency', 'reducing', 'halted',
     'what realized and unrealized P&L less fees lost since the start of the trading day; losses are positive'),
    ('drawdown', 'account currency', 'reducing', 'halted',
     'how far total P&L is below its highest mark of the session, or below 0 if it never was above'),
    ('gross_exposure', 'account currency', 'reducing', 'halted',
     'sum of the values of the positions, long or short, netted per instrument'),
    ('net_exposure', 'account currency', 'reducing', 'halted',
     'long less short value, without its sign'),
    ('concentration', 'fraction', 'reducing', 'halted',
     'the largest instrument''s share of the gross exposure'),
    ('sector_concentration', 'fraction', 'reducing', 'halted',
     'the largest sector''s share of the gross exposure; instruments without a sector are one sector'),
    ('var', 'account currency', 'reducing', 'halted',
     'value at risk of the positions as they are; losses are positive'),
    ('mark_age', 'seconds', null, 'reducing',
     'age of the oldest mark of a held position within the trading day; its hard limit is also how long any limited measure may be unknown');

create table risk.monitor_limits (
    monitor_limit_id bigint generated always as identity primary key,
    measure text not null references risk.monitor_measures,
    scope jsonb not null check (jsonb_typeof(scope) = 'object'),
    soft numeric check (soft >= 0 and soft < 'infinity'),
    hard numeric check (hard >= 0 and hard < 'infinity'),
    reason text not null check (reason <> ''),
    set_by text not null default session_user,
    valid_from timestamptz not null default '-infinity',
    valid_to timestamptz not null default 'infinity',
    recorded_at timestamptz not null default clock_timestamp(),
    superseded_at timestamptz not null default 'infinity',
    check (num_nonnulls(soft, hard) > 0),
    check (soft <= hard),
    check (valid_from < valid_to)
);
create unique index monitor_limits_current_key on risk.monitor_limits (measure, scope, valid_from)
    where superseded_at = 'infinity';
comment on table risk.monitor_limits is
    'Bitemporal like risk.limits. A limit whose scope names a strategy is on that strategy in each account, any other on each account it matches; the tightest binds.';
insert into risk.monitor_limits (measure, scope, soft, hard, reason, set_by) values
    ('mark_age', '{}', 300, 3600, 'shipped default', 'installation');

-- One row per account (strategy_id 0) and strategy of a session.
create table risk.monitor_states (
    session_id uuid not null references ops.sessions,
    account text not null references ref.accounts,
    strategy_id integer not null,
    trading_date date,
    first_as_of timestamptz not null,
    opening_pnl numeric not null,
    high_water numeric not null,
    total_pnl numeric,
    as_of timestamptz not null,
    primary key (session_id, account, strategy_id)
) with (fillfactor = 50);
comment on table risk.monitor_states is
    'What the risk monitor must not forget: where the trading day began and the highest mark, by account and strategy.';
comment on column risk.monitor_states.strategy_id is '0: the account as a whole.';
comment on column risk.monitor_states.first_as_of is 'When it was first looked at on this trading date.';
comment on column risk.monitor_states.opening_pnl is 'Total P&L at the start of the trading date.';
comment on column risk.monitor_states.high_water is 'Highest total P&L of the session, at least 0.';
comment on column risk.monitor_states.total_pnl is 'Total P&L when all of it was last known.';

create table risk.monitored (
    session_id uuid primary key references ops.sessions,
    as_of timestamptz not null
) with (fillfactor = 50);
comment on table risk.monitored is 'How far the risk monitor is; its row makes two monitors take turns.';

create table risk.breaches (
    breach_id bigint generated always as identity primary key,
    session_id uuid not null references ops.sessions,
    account text not null references ref.accounts,
    strategy_id integer not null,
    measure text not null references risk.monitor_measures,
    level text not null check (level in ('unknown', 'soft', 'hard')),
    scope jsonb not null,
    value numeric,
    worst_value numeric,
    limit_value numeric,
    since timestamptz not null,
    over_at timestamptz not null,
    until timestamptz,
    alert_id bigint,
    recorded_at timestamptz not null default clock_timestamp(),
    resolved_at timestamptz,
    resolved_by text,
    resolution text,
    check ((until is null) = (resolved_at is null)),
    check ((until is null) = (resolution is null)),
    check ((level = 'unknown') = (value is null))
);
create unique index breaches_open_key on risk.breaches (session_id, account, strategy_id, measure, level)
    where until is null;
create index breaches_session_idx on risk.breaches (session_id, since);
comment on table risk.breaches is
    'Limits after the trade that were broken, from when to when in session time. What is over its hard limit is over the soft one as well.';
comment on column risk.breaches.level is
    'unknown: there is a limit, and the measure cannot be computed.';
comment on column risk.breaches.scope is 'Whose trading state it sets.';
comment on column risk.breaches.value is 'The measure when the breach began, worst_value its highest since.';
comment on column risk.breaches.over_at is 'When it was last seen over the limit; it ends a minute later.';

create type risk.figures as (
    session_id uuid,
    account text,
    strategy_id integer,
    strategy text,
    trading_date date,
    first_as_of timestamptz,
    opening_pnl numeric,
    high_water numeric,
    total_pnl numeric,
    gross_exposure numeric,
    net_exposure numeric,
    concentration numeric,
    sector_concentration numeric,
    var numeric,
    mark_age numeric
);
comment on type risk.figures is 'What the risk monitor computes for an account (strategy_id 0) or strategy.';

create table risk.reduction_plans (
    plan_id bigint generated always as identity primary key,
    session_id uuid not null references ops.sessions,
    account text not null references ref.accounts,
    strategy_id integer references signal.strategies,
    targets jsonb not null,
    bucket interval not null check (bucket > '0'),
    participation numeric check (participation > 0 and participation <= 1),
    max_quantity numeric check (max_quantity > 0 and max_quantity < 'infinity'),
    limit_offset_bps numeric not null check (limit_offset_bps >= 0 and limit_offset_bps < 10000),
    starts_at timestamptz not null,
    deadline timestamptz check (deadline > starts_at),
    status text not null default 'active'
        check (status in ('active', 'paused', 'cancelling', 'cancelled', 'done', 'failed')),
    reason text not null check (reason <> ''),
    planned_by text not null default session_user,
    recorded_at timestamptz not null default clock_timestamp(),
    taken_over boolean not null default false,
    is_overdue boolean not null default false,
    finished_as_of timestamptz,
    finished_at timestamptz,
    note text,
    check (num_nonnulls(participation, max_quantity) > 0),
    check ((status in ('cancelled', 'done', 'failed')) = (finished_at is not null))
);
create index reduction_plans_open_idx on risk.reduction_plans (session_id) where finished_at is null;
comment on table risk.reduction_plans is
    'Orderly reductions: positions, their targets, and a schedule of child orders that are capped per bucket.';
comment on column risk.reduction_plans.strategy_id is 'Null: the account''s positions, whichever strategy holds them.';
comment on column risk.reduction_plans.bucket is
    'Bucket n, from 1, starts (n - 1) buckets after starts_at, in session time.';
comment on column risk.reduction_plans.participation is
    'Cap of a bucket as a share of what the market traded in the bucket before.';
comment on column risk.reduction_plans.max_quantity is 'Cap of a bucket in units; the lower cap binds.';
comment on column risk.reduction_plans.taken_over is 'Other working orders on its instruments were cancelled.';
comment on column risk.reduction_plans.is_overdue is 'It was not done at its deadline, and goes on.';

create table risk.plan_actions (
    plan_action_id bigint generated always as identity primary key,
    plan_id bigint not null references risk.reduction_plans,
    action text not null check (action in ('pause', 'resume', 'cancel')),
    reason text not null check (reason <> ''),
    done_by text not null default session_user,
    recorded_at timestamptz not null default clock_timestamp()
);
create index on risk.plan_actions (plan_id);
comment on table risk.plan_actions is 'Who paused, resumed or cancelled a plan, when and why.';

create table risk.reduction_legs (
    plan_id bigint not null references risk.reduction_plans,
    leg smallint not null,
    session_id uuid not null,
    account text not null,
    strategy_id integer,
    instrument_id integer not null references ref.instruments,
    start_quantity numeric not null check (start_quantity <> 0),
    target_quantity numeric not null,
    finished_as_of timestamptz,
    final_quantity numeric,
    alert_id bigint,
    primary key (plan_id, leg),
    check (target_quantity = 0 or sign(target_quantity) = sign(start_quantity)),
    check (abs(target_quantity) < abs(start_quantity))
);
create unique index reduction_legs_open_key
    on risk.reduction_legs (session_id, account, instrument_id, coalesce(strategy_id, 0))
    where finished_as_of is null;
comment on table risk.reduction_legs is
    'One position of a plan, signed. No position is in two open plans of the same scope.';
comment on column risk.reduction_legs.finished_as_of is 'When it was at its target, or its plan ended.';
comment on column risk.reduction_legs.alert_id is 'The open alert about an order that was denied or rejected.';

create table risk.reduction_slices (
    plan_id bigint not null,
    leg smallint not null,
    bucket_no integer not null check (bucket_no > 0),
    cap numeric not null check (cap > 0),
    market_volume numeric,
    quantity numeric not null check (quantity > 0 and quantity <= cap),
    as_of timestamptz not null,
    order_id bigint,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (plan_id, leg, bucket_no),
    foreign key (plan_id, leg) references risk.reduction_legs
);
create unique index on risk.reduction_slices (order_id);
comment on table risk.reduction_slices is
    'The child order of a bucket, committed with the order: its key is why there is never a second one.';
comment on column risk.reduction_slices.market_volume is
    'What the market traded in the bucket before, in units; null where the plan has no participation.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
