"""Rules over events: their definitions, states, matches and errors."""

from __future__ import annotations

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

SQL = """
-- Session time t is microseconds since 1970, which a double holds exactly.
create type signal.rule_event as (
    no integer,
    t double precision,
    kind smallint,
    instrument_id integer,
    bid double precision,
    bid_size double precision,
    ask double precision,
    ask_size double precision,
    price double precision,
    size double precision,
    sentiment double precision,
    headline text,
    source_id integer,
    seq bigint
);
-- An event at which at least one condition of a rule says something: bits says which.
create type signal.rule_hit as (
    t double precision,
    bits bigint,
    kind smallint,
    instrument_id integer,
    source_id integer,
    seq bigint,
    terms jsonb
);
create type signal.rule_error as (
    t double precision,
    kind smallint,
    instrument_id integer,
    source_id integer,
    seq bigint,
    code text,
    message text
);
create type signal.rule_conditions as (
    windows double precision[],
    hits signal.rule_hit[],
    errors signal.rule_error[]
);
-- kind: event, held, absent. wanted: the conditions that make it. ends: those that re-arm it (event) or
-- break it (held).
create type signal.rule_step as (
    kind text,
    wanted bigint,
    ends bigint,
    is_every boolean,
    for_us double precision
);
create type signal.rule_plan as (
    steps signal.rule_step[],
    without bigint,
    within_us double precision,
    cooldown_us double precision,
    from_s double precision,
    to_s double precision,
    timezone text
);
-- Of the sequences that have come as far as a step, the one that began last: when it began and got there,
-- and its events. Of each step: is it armed, since when does its clock run and by which event, and which
-- of its conditions were met.
create type signal.rule_machine as (
    begun double precision[],
    reached double precision[],
    events jsonb[],
    armed boolean[],
    since double precision[],
    since_event jsonb[],
    seen bigint[],
    last_match double precision,
    deadline double precision
);
create type signal.rule_found as (t double precision, events jsonb);
create type signal.rule_outcome as (machine signal.rule_machine, found signal.rule_found[]);
create type signal.rule_kept as (
    key integer,
    windows double precision[],
    machine signal.rule_machine
);

create table signal.rules (
    rule_id integer generated always as identity primary key,
    rule text not null check (rule ~ '^[a-z0-9_.-]{1,48}$'),
    version integer not null check (version > 0),
    description text not null,
    definition jsonb not null,
    instrument_ids integer[],
    named_ids integer[] not null,
    kinds smallint[] not null,
    is_keyed boolean not null,
    plan signal.rule_plan not null,
    code text not null,
    code_hash text not null,
    enabled boolean not null,
    valid_from timestamptz not null,
    valid_to timestamptz not null,
    saved_by text not null,
    recorded_at timestamptz not null default clock_timestamp(),
    superseded_at timestamptz not null default 'infinity',
    unique (rule, version),
    check (valid_from < valid_to)
);
create unique index on signal.rules (rule) where superseded_at = 'infinity';
comment on table signal.rules is
    'Rules over events, every version. valid_from/to in session time, recorded_at/superseded_at in ours; a version changes in nothing but enabled and superseded_at.';
comment on column signal.rules.definition is 'As saved; docs/rules.md describes it.';
comment on column signal.rules.instrument_ids is 'The instruments it is evaluated for, each by itself; null: all.';
comment on column signal.rules.named_ids is 'The instruments that its definition names besides.';
comment on column signal.rules.is_keyed is 'False: one evaluation over the named instruments together.';
comment on column signal.rules.code is 'What the definition was compiled to: the body of signal._rule_<rule_id>.';

create table signal.rule_spans (
    session_id uuid not null references ops.sessions,
    rule_id integer not null references signal.rules,
    first_batch_no bigint not null,
    last_batch_no bigint,
    ended_by text check (ended_by in ('disabled', 'errors', 'cleared')),
    errors integer not null default 0,
    matches integer not null default 0,
    primary key (session_id, rule_id, first_batch_no),
    check ((last_batch_no is null) = (ended_by is null))
);
comment on table signal.rule_spans is
    'From which to which batch of a session a rule was evaluated; it starts anew with each span. cleared: ended by errors, enabled again since.';

create table signal.rule_states (
    session_id uuid not null,
    rule_id integer not null references signal.rules,
    key integer not null,
    windows double precision[] not null,
    machine signal.rule_machine not null,
    deadline double precision,
    primary key (session_id, rule_id, key)
) with (fillfactor = 50);
alter table signal.rule_states alter column windows set storage external;
comment on table signal.rule_states is
    'Where each rule stands in a session, per instrument (key 0: the rule is about several together). It holds the windows, not the history.';
comment on column signal.rule_states.deadline is 'When the first of its clocks runs out, in microseconds since 1970.';

create table signal.rule_batches (
    session_id uuid not null references ops.sessions,
    batch_no bigint not null,
    batch_id bigint not null references market.batches,
    rules integer not null default 0,
    events integer not null default 0,
    matches integer not null default 0,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (session_id, batch_no)
);
comment on table signal.rule_batches is 'The batches that rules were evaluated on.';

create table signal.batch_news (
    session_id uuid not null references ops.sessions,
    source_id integer not null references market.sources,
    seq bigint not null,
    news_ts timestamptz not null,
    as_of timestamptz not null,
    batch_no bigint not null,
    primary key (session_id, source_id, seq)
);
create index on signal.batch_news (session_id, batch_no);
comment on table signal.batch_news is
    'Which headlines rules saw with which batch, and as of when; one stored after the batch of its time comes with the next.';

create table signal.rule_matches (
    as_of timestamptz not null,
    session_id uuid not null,
    rule_id integer not null,
    batch_id bigint not null,
    batch_no bigint not null,
    known_at timestamptz not null,
    instrument_id integer,
    events jsonb not null,
    recorded_at timestamptz not null default clock_timestamp()
);
select public.create_hypertable('signal.rule_matches', public.by_range('as_of', interval '30 days'),
                                create_default_indexes => false);
create index on signal.rule_matches (session_id, rule_id, as_of);
create index on signal.rule_matches (rule_id, as_of);
comment on table signal.rule_matches is
    'What rules found. as_of: the last event''s time, or when the clock ran out; known_at: the end of the batch that found it.';
comment on column signal.rule_matches.instrument_id is 'Null: of several instruments together.';
comment on column signal.rule_matches.events is 'One object per step: its event (source_id and seq lead to the tick) and what its condition was about.';

create table signal.rule_errors (
    error_id bigint generated always as identity primary key,
    session_id uuid not null references ops.sessions,
    rule_id integer not null references signal.rules,
    batch_no bigint not null,
    as_of timestamptz not null,
    key integer,
    instrument_id integer,
    kind text,
    source_id integer,
    seq bigint,
    code text not null,
    message text not null,
    recorded_at timestamptz not null default clock_timestamp()
);
create index on signal.rule_errors (session_id, rule_id, batch_no);
comment on table signal.rule_errors is
    'Events at which a rule''s conditions could not be evaluated, with the reason; the rule went on with the next event. Without an event: the whole rule failed.';

-- When a headline was known: what a batch looks up.
create index news_known_idx on market.news (greatest(ts, recv_ts));
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
