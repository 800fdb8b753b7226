"""Features, models with their versions, what they predict, and how far their inputs drift."""

from __future__ import annotations

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

SQL = """
create table signal.feature_definitions (
    feature text primary key check (feature ~ '^[a-z][a-z0-9_]{0,62}$'),
    function text not null,
    position integer not null check (position > 0),
    description text not null check (description <> ''),
    lookback interval not null check (lookback >= '0'),
    max_age interval not null check (max_age > '0'),
    registered_by text not null default session_user,
    recorded_at timestamptz not null default clock_timestamp(),
    unique (function, position)
);
comment on table signal.feature_definitions is
    'Features: which element of what function''s rows each is. Rows are added by signal.register_feature, never changed.';
comment on column signal.feature_definitions.function is
    'Schema and name; (p_instruments integer[], p_from timestamptz, p_to timestamptz) gives rows (as_of, instrument_id, features) that became known in (p_from, p_to].';
comment on column signal.feature_definitions.lookback is 'How far back what a value is made of can lie.';
comment on column signal.feature_definitions.max_age is 'After it a value is used no more.';
insert into signal.feature_definitions (feature, function, position, description, lookback, max_age) values
    ('return_1d', 'signal.daily_features', 1, 'Return over 1 bar', '130 days', '5 days'),
    ('return_5d', 'signal.daily_features', 2, 'Return over 5 bars', '130 days', '5 days'),
    ('return_20d', 'signal.daily_features', 3, 'Return over 20 bars', '130 days', '5 days'),
    ('return_60d', 'signal.daily_features', 4, 'Return over 60 bars', '130 days', '5 days'),
    ('volatility_20d', 'signal.daily_features', 5, 'Standard deviation of 20 daily log returns', '130 days', '5 days'),
    ('volume_z_20d', 'signal.daily_features', 6, 'Log volume, standardised by 20 bars', '130 days', '5 days'),
    ('distance_20d', 'signal.daily_features', 7, 'Log close less its mean over 20 bars', '130 days', '5 days'),
    ('rsi_14d', 'signal.daily_features', 8, 'Relative strength index of 14 log returns, 0 to 100', '130 days', '5 days'),
    ('gap_1d', 'signal.daily_features', 9, 'Open over the close before, less 1', '130 days', '5 days'),
    ('range_1d', 'signal.daily_features', 10, 'High less low, over the close', '130 days', '5 days'),
    ('relative_1d', 'signal.market_features', 1, 'Return over 1 bar less the mean of all instruments', '130 days', '5 days'),
    ('relative_5d', 'signal.market_features', 2, 'Return over 5 bars less the mean of all instruments', '130 days', '5 days'),
    ('news_sentiment', 'signal.news_features', 1, 'Mean score of 5 days'' headlines, decayed by a day', '5 days', '5 days'),
    ('news_count_5d', 'signal.news_features', 2, 'Scored headlines of 5 days', '5 days', '5 days');

create table signal.models (
    model_id integer generated always as identity primary key,
    model text not null unique check (model ~ '^[a-z0-9_.-]{1,32}$'),
    description text not null,
    created_by text not null default session_user,
    recorded_at timestamptz not null default clock_timestamp()
);
comment on table signal.models is 'Models by name; what they are is in their versions.';

-- How a model is scored: of features x, those that are null become fills, then (x - centres) / scales.
-- Linear: sum of coefficients times x, plus intercept. Trees: x in single precision walks from each root to
-- the left where x <= threshold; (base plus the sum of the leaf values) / divisor. link: identity or logistic.
create type signal.model_form as (
    link text,
    fills double precision[],
    centres double precision[],
    scales double precision[],
    coefficients double precision[],
    intercept double precision,
    roots integer[],
    split_features integer[],
    thresholds double precision[],
    lefts integer[],
    rights integer[],
    leaf_values double precision[],
    base double precision,
    divisor double precision
);

create table signal.model_versions (
    version_id bigint generated always as identity primary key,
    model_id integer not null references signal.models,
    version integer not null check (version > 0),
    task text not null check (task in ('regression', 'classification')),
    estimator text not null,
    scoring text not null check (scoring in ('linear', 'trees', 'worker')),
    features text[] not null check (cardinality(features) > 0),
    horizon integer not null check (horizon > 0),
    missing text not null check (missing in ('refuse', 'impute')),
    parameters jsonb not null,
    metrics jsonb not null,
    form signal.model_form,
    artefact bytea,
    artefact_sha256 text,
    trained_from timestamptz not null,
    trained_to timestamptz not null,
    data_watermark jsonb not null,
    code_version text not null,
    features_hash text not null,
    libraries jsonb not null,
    drift_threshold double precision not null default 0.2 check (drift_threshold > 0),
    saved_by text not null default session_user,
    recorded_at timestamptz not null default clock_timestamp(),
    unique (model_id, version),
    check (trained_from < trained_to),
    check ((scoring = 'worker') = (form is null)),
    check ((scoring = 'worker') = (artefact is not null)),
    check ((artefact is null) = (artefact_sha256 is null))
);
comment on table signal.model_versions is 'Trained models, never changed: what they are, from which data and code, how good.';
comment on column signal.model_versions.scoring is 'linear, trees: in the database, by form; worker: in Python, from artefact.';
comment on column signal.model_versions.features is 'In the order in which the model takes them; the times of the first are those of its rows.';
comment on column signal.model_versions.horizon is 'Bars ahead whose return is predicted.';
comment on column signal.model_versions.missing is 'A row with a missing feature is refused, or filled as in training.';
comment on column signal.model_versions.trained_to is 'No later label or feature was used.';
comment on column signal.model_versions.features_hash is 'Of the features'' functions as they were (signal._features_hash).';

create table signal.model_periods (
    period_id bigint generated always as identity primary key,
    model_id integer not null references signal.models,
    version_id bigint not null references signal.model_versions,
    valid_from timestamptz not null,
    valid_to timestamptz not null default 'infinity',
    set_by text not null default session_user,
    recorded_at timestamptz not null default clock_timestamp(),
    superseded_at timestamptz not null default 'infinity',
    check (valid_from < valid_to),
    check (recorded_at < superseded_at)
);
create index on signal.model_periods (model_id, valid_from);
comment on table signal.model_periods is
    'Which version of a model answers when, bitemporal: valid_from/to in market time, recorded_at/superseded_at in ours. Rows are superseded, never changed.';

create table signal.model_bins (
    version_id bigint not null references signal.model_versions,
    variable text not null,
    edges double precision[] not null,
    shares double precision[] not null,
    primary key (version_id, variable),
    check (cardinality(shares) = cardinality(edges) + 2)
);
comment on table signal.model_bins is 'The distribution of each feature, and of the prediction, that a version was trained on.';
comment on column signal.model_bins.edges is 'Bin i holds what is not below edge i and below edge i + 1; below the first edge is bin 0.';
comment on column signal.model_bins.shares is 'Of bins 0, 1 and so on; the last is of missing values.';

create table signal.predictions (
    as_of timestamptz not null,
    version_id bigint not null,
    instrument_id integer not null,
    prediction double precision,
    reason text,
    features double precision[] not null,
    recorded_at timestamptz not null default clock_timestamp(),
    check ((prediction is null) = (reason is not null))
);
select public.create_hypertable('signal.predictions', public.by_range('as_of', interval '90 days'),
                                create_default_indexes => false);
create unique index on signal.predictions (version_id, instrument_id, as_of);
comment on table signal.predictions is 'What models predicted, each row once and never changed.';
comment on column signal.predictions.as_of is 'When its features became known.';
comment on column signal.predictions.reason is 'Why there is no prediction.';

create table signal.model_runs (
    run_id bigint generated always as identity primary key,
    version_id bigint not null references signal.model_versions,
    from_ts timestamptz not null,
    to_ts timestamptz not null,
    predictions integer,
    refused integer,
    error text,
    recorded_at timestamptz not null default clock_timestamp(),
    check ((error is null) = (predictions is not null))
);
create index on signal.model_runs (version_id, to_ts);
comment on table signal.model_runs is 'Runs that recorded predictions of a window, and those that failed with what error.';

create table signal.drift (
    version_id bigint not null references signal.model_versions,
    variable text not null,
    from_ts timestamptz not null,
    to_ts timestamptz not null,
    observations bigint not null,
    psi double precision not null,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (version_id, variable, to_ts, from_ts)
);
comment on table signal.drift is 'Population stability index of features and predictions of a window against those of the training.';

grant usage on schema signal to tsdb_worker_scheduler;
grant select on signal.models, signal.model_versions, signal.model_periods, signal.model_runs,
    signal.predictions, signal.feature_definitions to tsdb_worker_scheduler;
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
