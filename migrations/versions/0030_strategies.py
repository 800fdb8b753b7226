"""Strategies of any kind: registration, instances, errors, portfolios; time stop and cool-down of pairs."""

from __future__ import annotations

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

SQL = """
-- Functions that change their signature, and views whose columns come from a type that grows.
drop function if exists signal.code_hash();
drop function if exists backtest._replay_states(uuid);
drop view if exists signal.current_pairs;
drop view if exists signal.pair_monitor;

-- Strategies -----------------------------------------------------------------------------------------

alter table signal.strategies
    add column step text,
    add column inputs text,
    add column lookback interval not null default '1 day' check (lookback >= interval '0'),
    add column state_type text,
    add column parameters_type text,
    add column code_hash text,
    add column registered_by text,
    add column registered_at timestamptz;
comment on column signal.strategies.step is 'The step function; null: not stepped, as manual. signal.run_<strategy> folds it.';
comment on column signal.strategies.inputs is 'The function that gives features, if any.';
comment on column signal.strategies.lookback is 'How long before the first step features are asked for.';
comment on column signal.strategies.code_hash is 'Of the functions'' sources when registered; signal.code_hash() says what they are now.';
update signal.strategies set step = 'signal.step_pairs', state_type = 'signal.pairs_state',
    parameters_type = 'signal.pairs_parameters'
where strategy = 'pairs';

-- What every step function but that of pairs is given: a mid per leg, null without news; the features of
-- each leg, one leg after the other, null without an inputs function or before every leg has some.
create type signal.step_input as (
    as_of timestamptz,
    mids double precision[],
    features double precision[]
);

-- Pairs ----------------------------------------------------------------------------------------------

alter type signal.pairs_parameters add attribute max_holding_s double precision;
alter type signal.pairs_parameters add attribute cool_down_s double precision;
alter type signal.pairs_state add attribute entered_at timestamptz;
alter type signal.pairs_state add attribute closed_at timestamptz;

-- s_score -------------------------------------------------------------------------------------------

create type signal.s_score_fields as (
    sample_s double precision,
    "window" integer,
    entry double precision,
    exit_long double precision,
    exit_short double precision,
    max_reversion double precision,
    notional double precision
);
-- The ranges of the parameters: every way into the strategy checks them. A record of nulls is none.
create domain signal.s_score_parameters as signal.s_score_fields
    constraint sample_s_above_zero check (
        value is null or ((value).sample_s between 1e-3 and 1e9) is true)
    constraint window_from_10_to_1000 check (
        value is null or ((value)."window" between 10 and 1000) is true)
    constraint exits_below_entry check (
        value is null or ((value).exit_long >= 0 and (value).exit_short >= 0
            and (value).exit_long < (value).entry and (value).exit_short < (value).entry
            and (value).entry <= 1e6) is true)
    constraint max_reversion_above_zero check (
        value is null or ((value).max_reversion between 1e-3 and 1e6) is true)
    constraint notional_above_zero_at_most_1e9 check (
        value is null or ((value).notional between 1e-3 and 1e9) is true);
-- sample_a, sample_b: the mids of the last sample, taken at sampled_at; returns: the last ones up to it, oldest
-- first. beta, reversion (steps), mean, deviation and score are of the last sample, null where there is no fit.
create type signal.s_score_state as (
    as_of timestamptz,
    mid_a double precision,
    mid_b double precision,
    sampled_at timestamptz,
    sample_a double precision,
    sample_b double precision,
    returns_a double precision[],
    returns_b double precision[],
    beta double precision,
    reversion double precision,
    mean double precision,
    deviation double precision,
    score double precision,
    target smallint,
    quantities bigint[],
    event text
);
insert into signal.strategies (strategy, description, step, state_type, parameters_type) values
    ('s_score', 'Mean reversion of the residual of one leg''s returns on another''s (Avellaneda and Lee 2010)',
     'signal.step_s_score', 'signal.s_score_state', 'signal.s_score_parameters');

-- Instances ------------------------------------------------------------------------------------------

create table signal.instances (
    instance_id bigint primary key default nextval('signal.pairs_pair_id_seq'),
    strategy_id integer not null references signal.strategies,
    instruments integer[] not null check (cardinality(instruments) between 1 and 100),
    parameters jsonb not null check (jsonb_typeof(parameters) = 'object'),
    statistics jsonb not null default '{}',
    feed_id integer not null references ops.feeds,
    calibrated_from timestamptz,
    calibrated_to timestamptz,
    data_watermark jsonb not null default '{}',
    code_version text not null,
    enabled boolean not null default true,
    valid_from timestamptz not null,
    valid_to timestamptz not null default 'infinity',
    recorded_at timestamptz not null default clock_timestamp(),
    superseded_at timestamptz not null default 'infinity',
    check (num_nulls(calibrated_from, calibrated_to) in (0, 2)),
    check (calibrated_from < calibrated_to),
    -- Point in time: nothing is valid before the last tick it was calibrated on.
    check (valid_from >= calibrated_to),
    check (valid_from < valid_to)
);
create index on signal.instances (strategy_id, feed_id, valid_from);
comment on table signal.instances is
    'What strategies other than pairs trade, bitemporal as signal.pairs; ids are of the same sequence. Rows are superseded, never changed.';
comment on column signal.instances.instruments is 'The legs, in the order of the step function''s mids and quantities.';

create table signal.session_instances (
    session_id uuid not null references ops.sessions,
    instance_id bigint not null references signal.instances,
    account text not null references ref.accounts,
    digest text not null,
    primary key (session_id, instance_id)
);
comment on table signal.session_instances is
    'The instances a session trades, pinned when it opens. digest: of legs and parameters then, checked by backtest.parity.';

create table signal.instance_states (
    session_id uuid not null,
    instance_id bigint not null,
    batch_id bigint not null,
    batch_no bigint not null,
    state jsonb not null,
    primary key (session_id, instance_id),
    foreign key (session_id, instance_id) references signal.session_instances
) with (fillfactor = 50);
comment on table signal.instance_states is 'Where each instance of a session stands: the state of its strategy as jsonb.';

create table signal.batch_features (
    session_id uuid not null references ops.sessions,
    strategy_id integer not null references signal.strategies,
    instrument_id integer not null references ref.instruments,
    batch_no bigint not null,
    as_of timestamptz not null,
    features double precision[] not null,
    primary key (session_id, strategy_id, instrument_id, batch_no)
);
comment on table signal.batch_features is
    'The last feature row of an instrument that became known with a batch; as_of: since when it was known.';

create table signal.strategy_errors (
    error_id bigint generated always as identity primary key,
    session_id uuid not null references ops.sessions,
    strategy_id integer not null references signal.strategies,
    instance_id bigint,
    batch_no bigint not null,
    as_of timestamptz not null,
    sql_state text not null,
    message text not null,
    recorded_at timestamptz not null default clock_timestamp()
);
create unique index strategy_errors_key on signal.strategy_errors (session_id, strategy_id, coalesce(instance_id, 0));
comment on table signal.strategy_errors is
    'Instances whose step failed, not stepped again in the session from that batch on; without an instance: all of the strategy.';

-- Signals --------------------------------------------------------------------------------------------

alter table signal.signals drop constraint signals_event_check;
alter table signal.signals
    add constraint signals_event_check check (event ~ '^[a-z][a-z0-9_]{0,31}$'),
    alter column pair_id drop not null,
    alter column target drop not null,
    alter column spread drop not null,
    alter column z_score drop not null,
    add column traded boolean not null default true,
    add column refusal text;
comment on column signal.signals.pair_id is 'The pair or instance; null for the rebalance of a portfolio.';
comment on column signal.signals.target is 'Sign of the first leg that is not flat; null for a rebalance.';
comment on column signal.signals.z_score is 'The score it was decided on: of pairs the z-score, of others the field score of the state.';
comment on column signal.signals.traded is 'False: kept as decided, traded through a rebalance or refused.';
comment on column signal.signals.refusal is 'Why it was refused; null if it was not.';
-- What a step decided, on its way to signal.signals and signal.targets.
create type signal.decision as (
    strategy_id integer,
    instance_id bigint,
    event text,
    target smallint,
    spread double precision,
    z_score double precision,
    instruments integer[],
    quantities bigint[],
    traded boolean,
    refusal text
);
-- The same as it was decided on a batch, for comparisons.
create type backtest.decision_at as (batch_no bigint, as_of timestamptz, decision signal.decision);

-- Portfolios -----------------------------------------------------------------------------------------

-- In account currency at mids; null: no such constraint.
create type signal.portfolio_parameters as (
    max_gross double precision,
    max_sector_net double precision,
    max_market_net double precision,
    max_positions integer
);
-- Events and their legs at one time (legs flattened, each with its instance); blocked: why an entry is refused
-- whatever the constraints say, else null. Then every instrument of the strategy, with what is known of it.
create type signal.portfolio_input as (
    as_of timestamptz,
    instance_ids bigint[],
    scores double precision[],
    blocked text[],
    leg_instances bigint[],
    leg_instruments integer[],
    leg_quantities bigint[],
    instruments integer[],
    mids double precision[],
    sectors text[],
    betas double precision[]
);
-- Accepted legs, net targets (those that are not zero), and what this step changed and refused.
create type signal.portfolio_state as (
    as_of timestamptz,
    leg_instances bigint[],
    leg_instruments integer[],
    leg_quantities bigint[],
    instruments integer[],
    quantities bigint[],
    changed integer[],
    changed_quantities bigint[],
    refused bigint[],
    reasons text[]
);
create table signal.portfolios (
    session_id uuid not null references ops.sessions,
    strategy_id integer not null references signal.strategies,
    account text not null references ref.accounts,
    parameters signal.portfolio_parameters not null,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (session_id, strategy_id)
);
comment on table signal.portfolios is
    'Strategies whose instances are netted and constrained together in a session; without a row each trades for itself.';
create table signal.portfolio_instruments (
    session_id uuid not null,
    strategy_id integer not null,
    instrument_id integer not null references ref.instruments,
    sector text,
    beta double precision check (beta > '-infinity' and beta < 'infinity'),
    primary key (session_id, strategy_id, instrument_id),
    foreign key (session_id, strategy_id) references signal.portfolios
);
comment on table signal.portfolio_instruments is 'Sector and beta of every instrument of a portfolio, pinned before its first step.';
create table signal.portfolio_states (
    session_id uuid not null,
    strategy_id integer not null,
    batch_no bigint not null,
    state signal.portfolio_state not null,
    primary key (session_id, strategy_id),
    foreign key (session_id, strategy_id) references signal.portfolios
) with (fillfactor = 50);
comment on table signal.portfolio_states is 'Where each portfolio of a session stands; select (state).* to read it.';

create table signal.betas (
    beta_id bigint generated always as identity primary key,
    instrument_id integer not null references ref.instruments,
    beta double precision not null check (beta > '-infinity' and beta < 'infinity'),
    valid_from timestamptz not null,
    recorded_at timestamptz not null default clock_timestamp(),
    superseded_at timestamptz not null default 'infinity'
);
create unique index betas_current_key on signal.betas (instrument_id, valid_from) where superseded_at = 'infinity';
comment on table signal.betas is
    'Sensitivity of instruments to the market, each valid from a time until the next; rows are superseded, never changed.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
