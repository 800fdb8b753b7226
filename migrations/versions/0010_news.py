"""News with its scores, and dated numeric series with their revisions."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SQL = """
create table market.news (
    ts timestamptz not null,
    recv_ts timestamptz not null,
    seq bigint not null,
    instrument_id integer,
    source_id integer not null,
    feed_id integer not null,
    ns smallint not null,
    flags smallint not null default 0,
    headline_id text,
    headline text not null,
    body text,
    url text,
    language text,
    symbols text[] not null default '{}',
    instrument_ids integer[] not null default '{}',
    unresolved text[] not null default '{}',
    sentiment numeric check (sentiment between -1 and 1),
    model text,
    model_version text,
    check ((sentiment is null) = (model is null) and (model is null) = (model_version is null))
);
select public.create_hypertable('market.news', public.by_range('ts', interval '7 days'),
                                create_default_indexes => false);
create index on market.news (ts);
create index on market.news (source_id, seq);
create index on market.news using gin (instrument_ids);
comment on table market.news is
    'Headlines as received, one row each. Nobody knew one before both ts and recv_ts: see market.news_at.';
comment on column market.news.ts is 'When the source says that it was published.';
comment on column market.news.recv_ts is
    'When we had it; ts where that is not known, as in archives.';
comment on column market.news.flags is '8: its id had come before in the same feed; both are kept.';
comment on column market.news.symbols is 'Symbols as the source gives them.';
comment on column market.news.instrument_ids is
    'Those of symbols that are registered, and instrument_id.';
comment on column market.news.unresolved is
    'Those of symbols that are not registered; see market.resolve_news.';
comment on column market.news.sentiment is
    'Score of the headline when it was stored, -1 to 1, by this model and version. It never changes: later scores are in market.news_scores.';

-- A unique key of a hypertable contains its time, so what was seen is kept here.
create table market._news_ids (
    feed_id integer not null references ops.feeds,
    headline_id text not null,
    primary key (feed_id, headline_id)
);

create table market.news_scores (
    source_id integer not null references market.sources,
    seq bigint not null,
    model text not null,
    model_version text not null,
    sentiment numeric not null check (sentiment between -1 and 1),
    scored_at timestamptz not null default clock_timestamp(),
    primary key (source_id, seq, model, model_version)
);
comment on table market.news_scores is
    'Scores of headlines by models other than the one of their storing; market.news_sentiment has all.';

create table market.alt_series (
    ts timestamptz not null,
    recv_ts timestamptz not null,
    seq bigint not null,
    instrument_id integer,
    source_id integer not null,
    feed_id integer not null,
    ns smallint not null,
    series text not null check (series <> ''),
    value numeric not null check (value > '-infinity' and value < 'infinity'),
    unit text not null default ''
);
select public.create_hypertable('market.alt_series', public.by_range('ts', interval '1800 days'),
                                create_default_indexes => false);
create index on market.alt_series (series, instrument_id, ts, recv_ts);
comment on table market.alt_series is
    'Any dated numeric series, every publication of every value: a revision is a further row of the same ts. See market.series_at.';
comment on column market.alt_series.ts is
    'Event time: what the value is about. May lie ahead, as in forecasts.';
comment on column market.alt_series.recv_ts is
    'Publication time: from then on it was known; ts where the source does not say.';
comment on column market.alt_series.instrument_id is 'Null: about no instrument in particular.';

grant insert on market.news, market.alt_series to tsdb_worker;
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
