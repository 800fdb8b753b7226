"""Sources of many instruments, streams, order book events, bars and status messages as received."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SQL = """
alter table ops.feeds
    add column kind text not null default 'file' check (kind in ('file', 'stream')),
    add column status text not null default 'active' check (status in ('active', 'inactive'));
comment on table ops.feeds is
    'Named origins of market data, files and streams. A stream that is active is run by the feeds worker.';
comment on column ops.feeds.configuration is
    'What the format needs to know: addresses, topics, mapping. Secrets stay in the environment: {"env": "NAME"}.';

-- Nasdaq symbols carry suffixes such as = + # ^, futures spreads blanks and colons.
alter table ref.instruments
    drop constraint instruments_symbol_check,
    add constraint instruments_symbol_check check (symbol ~ '^[A-Z0-9][A-Z0-9 ./+=#^$*:_@-]{0,31}$');

-- A file or stream of one instrument and kind is a source. One that holds many (kind 'many') has a
-- part for each instrument and kind; ticks name the part, the resume point is the parent's.
alter table market.sources
    drop constraint sources_check,
    drop constraint sources_kind_check,
    add column parent_id integer references market.sources,
    add column first_row bigint not null default 0,
    add column rows_missing bigint not null default 0,
    add column rows_duplicate bigint not null default 0,
    alter column instrument_id drop not null,
    add constraint sources_kind_check check (kind in
        ('many', 'quotes', 'trades', 'book_events', 'bars', 'statuses', 'news', 'series')),
    add constraint sources_rows_check check (rows_read = rows_stored + rows_quarantined
        and (parent_id is not null or next_row = first_row + rows_read + rows_missing));
create index on market.sources (parent_id);
create index on market.sources (feed_id, instrument_id, kind);
comment on table market.sources is
    'Where ticks came from. One row per file or stream, with its resume point (next_row, committed with the ticks); one of many instruments or kinds (kind many) has a part for each (parent_id), which its ticks name.';
comment on column market.sources.next_row is
    'The row, sequence number or offset to go on with: first_row + rows_read + rows_missing.';
comment on column market.sources.rows_missing is 'Sequence numbers that never came; see market.gaps.';
comment on column market.sources.rows_duplicate is 'Messages received again and dropped, such as a UDP packet sent twice.';

alter table market.gaps add column source_id integer references market.sources;
create index on market.gaps (source_id, first_missing);
comment on column market.gaps.filled_at is 'When the missing messages came after all; null: they never did.';

alter table market._trades add column trade_id bigint;
comment on column market._trades.trade_id is
    'The match number or trade id of the source where it has one; corrections name it.';
comment on column market._trades.flags is
    '4: marked suspicious by the source; 8: equal to an earlier row of the same time; 16: does not set open and close; 32: does not set high and low; 64: does not add to volume; 128: cancelled or corrected later.';
comment on column market._quotes.flags is
    '1: the row set the bid; 2: the row set the ask (a side it did not set is carried forward); 4: marked suspicious by the source; 8: equal to an earlier row of the same time.';

create table market._book_events (
    ts timestamptz not null,
    recv_ts timestamptz not null,
    seq bigint not null,
    order_id bigint,
    new_order_id bigint,
    price bigint,
    size bigint,
    trade_id bigint,
    instrument_id integer not null,
    source_id integer not null,
    feed_id integer not null,
    ns smallint not null,
    flags smallint not null,
    action text not null,
    side text not null
);
select public.create_hypertable('market._book_events', public.by_range('ts', interval '1 day'),
                                create_default_indexes => false);
create index on market._book_events (instrument_id, ts, seq);
comment on table market._book_events is
    'Order-by-order events of books, prices and sizes in stored integers; market.book_events shows decimals.';
comment on column market._book_events.action is
    'add: a new order (price, size); modify: the order has this price and size now; reduce: size was taken off without a trade; execute: size was traded at price; delete: the order is gone; replace: order_id is gone and new_order_id stands in its place with this price and size, at the end of the queue; clear: every order of the instrument is gone.';
comment on column market._book_events.side is 'bid, ask, or empty where the source does not say.';
comment on column market._book_events.flags is '1: part of a snapshot; 2: hidden from the book''s display; 4: the source''s own end of an event with more than one row.';

create table market._source_bars (
    ts timestamptz not null,
    recv_ts timestamptz not null,
    seq bigint not null,
    open bigint,
    high bigint,
    low bigint,
    close bigint,
    volume bigint,
    instrument_id integer not null,
    source_id integer not null,
    feed_id integer not null,
    ns smallint not null,
    flags smallint not null,
    resolution text not null,
    side text not null
);
select public.create_hypertable('market._source_bars', public.by_range('ts', interval '30 days'),
                                create_default_indexes => false);
create index on market._source_bars (instrument_id, resolution, ts);
comment on table market._source_bars is
    'Bars as their vendor made them, in stored integers; ts is the start of the bar. Not our own rollups, which are market.bars_*.';
comment on column market._source_bars.resolution is '1m, 1d and so on.';
comment on column market._source_bars.side is 'trade, bid or ask: what the bar is of. Volume of a quote bar is its last size.';

create table market.statuses (
    ts timestamptz not null,
    recv_ts timestamptz not null,
    seq bigint not null,
    instrument_id integer,
    source_id integer not null,
    feed_id integer not null,
    ns smallint not null,
    kind text not null,
    code text not null,
    detail jsonb not null default '{}'
);
select public.create_hypertable('market.statuses', public.by_range('ts', interval '7 days'),
                                create_default_indexes => false);
create index on market.statuses (instrument_id, kind, ts);
comment on table market.statuses is
    'What a market says about itself: system events, directory entries, halts, bands, imbalances. instrument_id null: about the whole market.';

-- Their new forms come with the manifest.
drop function if exists market.open_source(text, text, text, text, text, text, text, boolean);
drop function if exists market.advance_source(
    integer, bigint, bigint, bigint, bigint, timestamptz, timestamptz, boolean);

grant insert on market._book_events, market._source_bars, market.statuses to tsdb_worker;
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
