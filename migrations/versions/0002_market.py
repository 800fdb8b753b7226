"""Ticks, their sources, batches, quarantine."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SQL = """
create table market.sources (
    source_id integer generated always as identity primary key,
    feed_id integer not null references ops.feeds,
    sha256 text not null,
    content text not null,
    name text not null,
    kind text not null check (kind in ('quotes', 'trades')),
    instrument_id integer not null references ref.instruments,
    status text not null default 'loading' check (status in ('loading', 'complete')),
    next_row bigint not null default 0,
    rows_read bigint not null default 0,
    rows_stored bigint not null default 0,
    rows_quarantined bigint not null default 0,
    first_ts timestamptz,
    last_ts timestamptz,
    recorded_at timestamptz not null default clock_timestamp(),
    unique (feed_id, sha256, content),
    check (rows_read = rows_stored + rows_quarantined and next_row = rows_read)
);
comment on table market.sources is
    'Where ticks came from, with its resume point (next_row, committed with the ticks). One row per file, or per instrument and kind of a stream.';
create index on market.sources (feed_id, last_ts);
comment on column market.sources.sha256 is 'Of the uncompressed content, so that packing it anew is no new file.';
comment on column market.sources.content is 'What the bytes are about, such as AIG/2013-10-07/quotes.';

-- Prices and sizes are integers in the instrument's price_scale and size_scale (decision 0001).
-- No unique key: equal ticks are legitimate; (source_id, seq) is kept unique by market.sources.
create table market._quotes (
    ts timestamptz not null,
    recv_ts timestamptz not null,
    seq bigint not null,
    bid_price bigint,
    bid_size bigint,
    ask_price bigint,
    ask_size bigint,
    instrument_id integer not null,
    source_id integer not null,
    feed_id integer not null,
    ns smallint not null,
    flags smallint not null,
    exchange text,
    conditions text
);
select public.create_hypertable('market._quotes', public.by_range('ts', interval '1 day'),
                                create_default_indexes => false);
create index on market._quotes (instrument_id, ts, seq);
comment on column market._quotes.flags is
    '1: the row set the bid; 2: the row set the ask (a side it did not set is carried forward); 4: marked suspicious by the source.';

create table market._trades (
    ts timestamptz not null,
    recv_ts timestamptz not null,
    seq bigint not null,
    price bigint not null,
    size bigint not null,
    instrument_id integer not null,
    source_id integer not null,
    feed_id integer not null,
    ns smallint not null,
    flags smallint not null,
    exchange text,
    conditions text
);
select public.create_hypertable('market._trades', public.by_range('ts', interval '1 day'),
                                create_default_indexes => false);
create index on market._trades (instrument_id, ts, seq);

create table market.quarantine (
    quarantine_id bigint generated always as identity primary key,
    feed_id integer not null references ops.feeds,
    source_id integer references market.sources,
    source text not null,
    position bigint not null,
    reason text not null,
    raw text not null,
    recorded_at timestamptz not null default clock_timestamp()
);
create index on market.quarantine (source_id, position);
comment on table market.quarantine is
    'Input that cannot be right, in its raw form. position: row number in the source, from 0.';

create table market.gaps (
    gap_id bigint generated always as identity primary key,
    feed_id integer not null references ops.feeds,
    first_missing bigint not null,
    last_missing bigint not null,
    detected_at timestamptz not null default clock_timestamp(),
    filled_at timestamptz,
    check (first_missing <= last_missing)
);
comment on table market.gaps is 'Missing sequence numbers of a stream.';

create table market.batches (
    batch_id bigint generated always as identity primary key,
    session_id uuid not null references ops.sessions,
    batch_no bigint not null check (batch_no > 0),
    from_ts timestamptz not null,
    as_of timestamptz not null,
    quote_count integer not null,
    trade_count integer not null,
    digest bigint not null,
    recorded_at timestamptz not null default clock_timestamp(),
    unique (session_id, batch_no),
    check (from_ts < as_of)
);
comment on table market.batches is
    'Ticks handed to a session together, numbered without gaps: from_ts < ts <= as_of of the listed source ranges.';
comment on column market.batches.digest is
    'Order-independent hash of the ticks in the batch; backtest.parity recomputes it.';

create table market.batch_ranges (
    batch_id bigint not null references market.batches,
    source_id integer not null references market.sources,
    first_seq bigint not null,
    last_seq bigint not null,
    primary key (batch_id, source_id),
    check (first_seq <= last_seq)
);
comment on table market.batch_ranges is 'Which rows of which sources a batch is made of, both ends included.';

-- The last usable quote of each instrument that had one in the batch: what strategies step on.
create table market.batch_quotes (
    as_of timestamptz not null,
    session_id uuid not null,
    batch_id bigint not null,
    batch_no bigint not null,
    instrument_id integer not null,
    feed_id integer not null,
    source_id integer not null,
    seq bigint not null,
    ts timestamptz not null,
    ns smallint not null,
    bid_price bigint not null,
    bid_size bigint not null,
    ask_price bigint not null,
    ask_size bigint not null
);
select public.create_hypertable('market.batch_quotes', public.by_range('as_of', interval '1 day'),
                                create_default_indexes => false);
create index on market.batch_quotes (session_id, instrument_id, as_of desc, batch_no desc);
create index on market.batch_quotes (batch_id);

comment on table market.batch_quotes is
    'The last usable quote of each instrument that had one in the batch, in stored integers: what strategies step on.';

create table market.latest_quotes (
    session_id uuid not null references ops.sessions,
    instrument_id integer not null references ref.instruments,
    batch_id bigint not null,
    batch_no bigint not null,
    feed_id integer not null,
    source_id integer not null,
    seq bigint not null,
    ts timestamptz not null,
    ns smallint not null,
    bid_price bigint not null,
    bid_size bigint not null,
    ask_price bigint not null,
    ask_size bigint not null,
    primary key (session_id, instrument_id)
) with (fillfactor = 50);
comment on table market.latest_quotes is
    'Per session, the last usable quote (both sides, not crossed) in stored integers; see market.latest for decimals.';

grant insert on market._quotes, market._trades, market.quarantine, market.gaps, market.sources,
    ops.feeds, ref.instruments to tsdb_worker;
grant update on market.sources to tsdb_worker;
grant usage on all sequences in schema market, ops, ref to tsdb_worker;
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
