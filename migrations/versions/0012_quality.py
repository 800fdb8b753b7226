"""Quality: rules as rows with their history, and what was measured per day."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

RULES = """
create table market.quality_rules (
    rule text primary key check (rule ~ '^[a-z][a-z0-9_]*$'),
    stage text not null check (stage in ('load', 'measure', 'check', 'bars', 'daily', 'cross')),
    unit text not null,
    description text not null
);
comment on table market.quality_rules is
    'What counts as wrong in market data; the thresholds are in market.quality_thresholds.';
comment on column market.quality_rules.stage is
    'load: decides what is stored and what is quarantined; measure: what market.quality counts; check, bars: findings of market.check_quality; daily: of market.daily_suspects; cross: of market.cross_check.';

create table market.quality_thresholds (
    threshold_id bigint generated always as identity primary key,
    rule text not null references market.quality_rules,
    scope jsonb not null default '{}',
    threshold double precision not null check (threshold >= 0 and threshold < 'infinity'),
    reason text not null check (reason <> ''),
    set_by text not null default session_user,
    recorded_at timestamptz not null default clock_timestamp(),
    superseded_at timestamptz not null default 'infinity'
);
create unique index on market.quality_thresholds (rule, scope) where superseded_at = 'infinity';
comment on table market.quality_thresholds is
    'Thresholds of the rules, with their history; in force are those with superseded_at infinity. See market.set_quality_rule.';
comment on column market.quality_thresholds.scope is
    '{}, or feed, symbol or both: the narrowest that fits is used, a symbol being narrower than a feed.';
"""

DEFAULTS = """
with rules (rule, stage, threshold, unit, description) as (values
    ('cross_absolute', 'load', 0.02, 'price',
     'A quote crossed by more than this, and by more than cross_relative, is quarantined.'),
    ('cross_relative', 'load', 0.0025, 'part of the ask',
     'A quote crossed by more than this, and by more than cross_absolute, is quarantined.'),
    ('bar_relative', 'load', 0.05, 'part of the close',
     'A bar whose open or close lies farther outside of low to high is quarantined.'),
    ('future_s', 'load', 86400, 'seconds',
     'A time farther ahead of the clock is quarantined.'),

    ('session_open_s', 'measure', 34200, 'seconds after midnight in New York',
     'Quotes, trades and silences are judged from here on.'),
    ('session_close_s', 'measure', 57600, 'seconds after midnight in New York',
     'Quotes, trades and silences are judged up to here.'),
    ('stale_s', 'measure', 900, 'seconds', 'A longer silence in the session''s hours is stale.'),
    ('wide_absolute', 'measure', 0.05, 'price',
     'A spread of more than this, and more than wide_relative, is wide.'),
    ('wide_relative', 'measure', 0.05, 'part of the mid',
     'A spread of more than this, and more than wide_absolute, is wide.'),
    ('outside_relative', 'measure', 0.001, 'part of the price',
     'A trade farther outside of the last usable quote counts as outside.'),
    ('jump_relative', 'measure', 0.02, 'part of the price',
     'A larger change from one trade to the next is a jump.'),

    ('crossed_share', 'check', 0.01, 'part of the quotes in hours', 'Crossed quotes.'),
    ('locked_share', 'check', 0.25, 'part of the quotes in hours', 'Locked quotes.'),
    ('one_sided_share', 'check', 0.05, 'part of the quotes in hours', 'Quotes without a bid or an ask.'),
    ('wide_share', 'check', 0.05, 'part of the quotes in hours', 'Wide quotes.'),
    ('duplicate_share', 'check', 0.5, 'part of the ticks', 'Ticks equal to an earlier one of the same time.'),
    ('outside_share', 'check', 0.05, 'part of the trades in hours', 'Trades outside of the quote.'),
    ('jump', 'check', 0.1, 'part of the price', 'The largest jump of the day.'),
    ('silence_s', 'check', 3600, 'seconds', 'The longest silence in the session''s hours.'),
    ('late_share', 'check', 0.001, 'part of the ticks', 'Ticks that came after later ones.'),
    ('latency_p99_s', 'check', 5, 'seconds', 'From the source''s time to ours, exceeded by 1%.'),
    ('quarantined_share', 'check', 0.001, 'part of the rows', 'Rows that cannot be right.'),
    ('missing_rows', 'check', 0, 'rows', 'Sequence numbers that never came.'),

    ('bar_jump', 'bars', 0.35, 'part of the last close', 'A larger change from close to close.'),
    ('bar_spike', 'bars', 0.2, 'part of the neighbours',
     'A close farther from both neighbours, which are nearer to each other.'),
    ('bar_outside', 'bars', 0, 'part of the close', 'Open or close outside of low to high.'),
    ('bar_missing', 'bars', 0, 'values', 'Prices or a volume that a bar does not have.'),
    ('bar_no_volume', 'bars', 0, 'bars', 'A bar of trades without volume.'),
    ('bar_absent_share', 'bars', 0.001, 'part of the feed''s times',
     'Times of the feed at which an instrument has no bar.'),

    ('daily_jump', 'daily', 0.2, 'part of the last close', 'A larger change from day to day.'),
    ('daily_reversal', 'daily', 0.25, 'part of the jump',
     'A jump that the next day takes back but for this part is a bad tick.'),
    ('daily_gap', 'daily', 0.6, 'part of the jump',
     'How much of it an unadjusted split or spin-off takes before the open, at least.'),
    ('daily_turnover', 'daily', 6.5, 'times the median of 20 days',
     'A fall with a larger turnover is news, not an unadjusted split or spin-off.'),

    ('cross_silent_s', 'cross', 60, 'seconds',
     'A longer silence of one feed, while the other has quotes, is a missing stretch; an older quote is used no more.'),
    ('cross_missing_share', 'cross', 0.05, 'part of the time', 'Missing stretches of a feed.'),
    ('cross_crossed_share', 'cross', 0.01, 'part of the time', 'A feed that is crossed.'),
    ('cross_apart_share', 'cross', 0.01, 'part of the buckets', 'One feed''s bid above the other''s ask.'),
    ('cross_mid_p99_bps', 'cross', 5, 'basis points', 'Distance of the mids, exceeded by 1%.'),
    ('cross_lag_correlation', 'cross', 0.1, 'correlation',
     'One feed runs behind the other where the changes of their mids are correlated by more than this.'),
    ('cross_lag_s', 'cross', 2, 'seconds', 'By how much one feed runs behind the other.')
),
added as (
    insert into market.quality_rules (rule, stage, unit, description)
    select r.rule, r.stage, r.unit, r.description from rules r
)
insert into market.quality_thresholds (rule, threshold, reason)
select r.rule, r.threshold, 'default' from rules r;
"""

MEASURED = """
create table market.quality_days (
    feed_id integer not null references ops.feeds,
    instrument_id integer not null references ref.instruments,
    day date not null,
    quotes bigint not null,
    trades bigint not null,
    book_events bigint not null,
    duplicate_quotes bigint not null,
    duplicate_trades bigint not null,
    suspicious bigint not null,
    cancelled bigint not null,
    late bigint not null,
    quotes_in_hours bigint not null,
    no_bid bigint not null,
    no_ask bigint not null,
    locked bigint not null,
    crossed bigint not null,
    wide bigint not null,
    max_spread double precision,
    trades_in_hours bigint not null,
    outside bigint not null,
    jumps bigint not null,
    max_jump double precision,
    max_jump_ts timestamptz,
    stale bigint not null,
    max_silence_s double precision not null,
    max_silence_from timestamptz,
    first_ts timestamptz not null,
    last_ts timestamptz not null,
    latency_count bigint not null,
    latency_max_s double precision,
    latencies jsonb,
    session_open timestamptz not null,
    session_close timestamptz not null,
    stale_s double precision not null,
    measured_at timestamptz not null,
    checked_at timestamptz,
    primary key (feed_id, instrument_id, day)
);
create index on market.quality_days (day, feed_id);
create index on market.quality_days (feed_id) where checked_at is null;
comment on table market.quality_days is
    'What market.refresh_quality measured; market.quality_by_instrument adds what changed since.';
comment on column market.quality_days.latencies is
    'Counts by bucket of recv_ts - ts (DDSketch, quantiles within 1%); null where recv_ts is not known.';
comment on column market.quality_days.checked_at is 'When market.watch_quality looked at it.';

create table market.quality_changes (
    change_id bigint generated always as identity primary key,
    feed_id integer not null,
    day date not null,
    instrument_ids integer[] not null
);
create index on market.quality_changes (feed_id, day);
comment on table market.quality_changes is
    'Days whose ticks changed since they were measured. Only ever appended to, so that writers never wait.';
"""


def upgrade() -> None:
    execute = op.get_bind().connection.driver_connection.execute
    for statements in (RULES, DEFAULTS, MEASURED):
        execute(statements)
