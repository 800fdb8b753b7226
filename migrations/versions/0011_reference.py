"""Reference data: calendars, point-in-time facts, corporate actions."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SQL = r"""
-- Currencies and venues

alter table ref.currencies add column minor_units smallint check (minor_units between 0 and 4);
comment on column ref.currencies.minor_units is
    'Decimals of an amount in cash, by ISO 4217; null: the code has none (metals).';
insert into ref.currencies (currency, minor_units)
select regexp_split_to_table(list.codes, '\s+'), list.minor_units
from (values
    (2, 'AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP
     BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP
     GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT
     LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN
     NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP
     SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED
     VES WST XCD XCG YER ZAR ZMW ZWG'),
    (0, 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF'),
    (3, 'BHD IQD JOD KWD LYD OMR TND'),
    (4, 'CLF'),
    (null, 'XAG XAU XPD XPT')
) list (minor_units, codes)
on conflict (currency) do update set minor_units = excluded.minor_units;

alter table ref.venues
    add column mic text check (mic ~ '^[A-Z0-9]{4}$'),
    add column country text check (country ~ '^[A-Z]{2}$'),
    add column time_zone text;
comment on column ref.venues.mic is 'ISO 10383 code of the market; null for simulated venues.';
comment on column ref.venues.country is 'ISO 3166 code.';
-- Known, so that listings and fees can name them; inactive, so that no order goes there.
insert into ref.venues (venue, name, simulated, status, mic, country, time_zone) values
    ('XNYS', 'New York Stock Exchange', false, 'inactive', 'XNYS', 'US', 'America/New_York'),
    ('XNAS', 'Nasdaq', false, 'inactive', 'XNAS', 'US', 'America/New_York'),
    ('ARCX', 'NYSE Arca', false, 'inactive', 'ARCX', 'US', 'America/New_York'),
    ('XASE', 'NYSE American', false, 'inactive', 'XASE', 'US', 'America/New_York'),
    ('BATS', 'Cboe BZX', false, 'inactive', 'BATS', 'US', 'America/New_York'),
    ('IEXG', 'Investors Exchange', false, 'inactive', 'IEXG', 'US', 'America/New_York');

-- Calendars

create table ref.calendars (
    exchange text primary key check (exchange ~ '^[A-Za-z0-9_/]{1,16}$'),
    time_zone text not null,
    first_date date not null,
    last_date date not null,
    library text not null,
    recorded_at timestamptz not null default clock_timestamp(),
    check (first_date <= last_date)
);
comment on table ref.calendars is
    'Exchanges whose sessions are in ref.calendar_days, and for which range of dates.';
comment on column ref.calendars.library is 'Where the sessions come from, with its version.';

create table ref.calendar_days (
    exchange text not null references ref.calendars,
    date date not null,
    opens_at timestamptz not null,
    closes_at timestamptz not null,
    break_starts_at timestamptz,
    break_ends_at timestamptz,
    early_close boolean not null,
    recorded_at timestamptz not null default clock_timestamp(),
    superseded_at timestamptz not null default 'infinity',
    primary key (exchange, date, recorded_at),
    check (opens_at < closes_at),
    check ((break_starts_at is null) = (break_ends_at is null)),
    check (opens_at < break_starts_at and break_starts_at < break_ends_at
        and break_ends_at < closes_at)
);
create unique index calendar_days_current_key on ref.calendar_days (exchange, date)
    where superseded_at = 'infinity';
create index calendar_days_opens_at on ref.calendar_days (exchange, opens_at)
    where superseded_at = 'infinity';
create index calendar_days_closes_at on ref.calendar_days (exchange, closes_at)
    where superseded_at = 'infinity';
comment on table ref.calendar_days is
    'Sessions of exchanges, one row per trading date; days without a row are closed. Read it where superseded_at is infinity, or through ref.is_open and its like.';

-- Facts: what ref.record writes. A row is never changed but for superseded_at. Their common columns
-- come from two tables that are gone at the end.

create table ref._fact (
    known_at timestamptz not null,
    superseded_at timestamptz not null default 'infinity',
    recorded_at timestamptz not null default clock_timestamp(),
    source text not null default '',
    check (known_at < superseded_at)
);
comment on column ref._fact.known_at is 'From when on one could know it.';
comment on column ref._fact.superseded_at is
    'When a correction or a withdrawal of it became known; infinity: it still stands.';
comment on column ref._fact.recorded_at is 'When it was written here.';
comment on column ref._fact.source is 'Where it comes from: a file and its row.';
create table ref._dated_fact (
    like ref._fact including all,
    valid_from date not null,
    valid_to date not null,
    check (valid_from < valid_to)
);
comment on column ref._dated_fact.valid_to is 'The first day on which it is no longer true.';

create table ref.fact_kinds (
    kind text primary key,
    key_columns text[] not null,
    alone_columns text[],
    defaults jsonb not null
);
comment on table ref.fact_kinds is
    'The tables that ref.record writes. key_columns: the same key again is the same fact, or a correction of it. alone_columns: of rows equal in these, no two are valid at the same time.';

create table ref.symbols (
    instrument_id integer not null references ref.instruments,
    symbol text not null check (symbol ~ '^[A-Z0-9][A-Z0-9 ./+=#^$*:_@-]{0,31}$'),
    venue text references ref.venues (venue),
    like ref._dated_fact including all,
    primary key (instrument_id, symbol, valid_from, known_at)
);
create unique index symbols_current_key on ref.symbols (instrument_id, symbol, valid_from)
    where superseded_at = 'infinity';
create index on ref.symbols (symbol);
comment on table ref.symbols is
    'Which symbol an instrument had when. ref.instruments.symbol is the last one, and our name for it.';

create table ref.listings (
    instrument_id integer not null references ref.instruments,
    venue text not null references ref.venues (venue),
    is_primary boolean not null,
    like ref._dated_fact including all,
    primary key (instrument_id, venue, valid_from, known_at)
);
create unique index listings_current_key on ref.listings (instrument_id, venue, valid_from)
    where superseded_at = 'infinity';
comment on table ref.listings is 'Where an instrument was listed when.';

create table ref.tick_sizes (
    instrument_id integer not null references ref.instruments,
    price_from numeric not null check (price_from >= 0 and price_from < 'infinity'),
    tick_size numeric not null check (tick_size > 0 and tick_size < 'infinity'),
    like ref._dated_fact including all,
    primary key (instrument_id, price_from, valid_from, known_at)
);
create unique index tick_sizes_current_key on ref.tick_sizes (instrument_id, price_from, valid_from)
    where superseded_at = 'infinity';
comment on table ref.tick_sizes is
    'The step of prices from price_from on, up to the next row''s; see ref.tick_size().';

create table ref.lot_sizes (
    instrument_id integer not null references ref.instruments,
    price_from numeric not null check (price_from >= 0 and price_from < 'infinity'),
    lot_size numeric not null check (lot_size > 0 and lot_size < 'infinity'),
    like ref._dated_fact including all,
    primary key (instrument_id, price_from, valid_from, known_at)
);
create unique index lot_sizes_current_key on ref.lot_sizes (instrument_id, price_from, valid_from)
    where superseded_at = 'infinity';
comment on table ref.lot_sizes is
    'The round lot at prices from price_from on, up to the next row''s; see ref.lot_size().';

create table ref.fees (
    venue text not null references ref.venues (venue),
    fee text not null check (fee ~ '^[a-z0-9_.-]{1,32}$'),
    side text not null check (side in ('buy', 'sell', 'any')),
    liquidity text not null check (liquidity in ('maker', 'taker', 'any')),
    per_share numeric not null check (abs(per_share) < 'infinity'),
    basis_points numeric not null check (abs(basis_points) < 'infinity'),
    minimum numeric check (abs(minimum) < 'infinity'),
    maximum numeric check (abs(maximum) < 'infinity'),
    currency text not null references ref.currencies,
    like ref._dated_fact including all,
    primary key (venue, fee, side, liquidity, valid_from, known_at),
    check (minimum <= maximum)
);
create unique index fees_current_key on ref.fees (venue, fee, side, liquidity, valid_from)
    where superseded_at = 'infinity';
comment on table ref.fees is
    'What an execution costs: per_share * quantity + basis_points of its value, within minimum and maximum; below zero it is a rebate. Fees of several names add up; see ref.fee().';

create table ref.index_members (
    index_name text not null check (index_name ~ '^[A-Z0-9][A-Z0-9_.^-]{0,31}$'),
    instrument_id integer not null references ref.instruments,
    weight numeric check (weight >= 0 and weight < 'infinity'),
    like ref._dated_fact including all,
    primary key (index_name, instrument_id, valid_from, known_at)
);
create unique index index_members_current_key
    on ref.index_members (index_name, instrument_id, valid_from) where superseded_at = 'infinity';
comment on table ref.index_members is
    'Which instruments an index had when; see ref.universe().';

create table ref.splits (
    instrument_id integer not null references ref.instruments,
    ex_date date not null check (isfinite(ex_date)),
    new_shares numeric not null check (new_shares > 0 and new_shares < 'infinity'),
    old_shares numeric not null check (old_shares > 0 and old_shares < 'infinity'),
    cash_in_lieu numeric check (cash_in_lieu >= 0 and cash_in_lieu < 'infinity'),
    declared_on date,
    like ref._fact including all,
    primary key (instrument_id, ex_date, known_at)
);
create unique index splits_current_key on ref.splits (instrument_id, ex_date)
    where superseded_at = 'infinity';
comment on table ref.splits is
    'new_shares for every old_shares, from the start of ex_date: 7 for 1, or 1 for 20.';
comment on column ref.splits.cash_in_lieu is 'Paid for a whole new share that only a fraction of is due.';

create table ref.dividends (
    instrument_id integer not null references ref.instruments,
    ex_date date not null check (isfinite(ex_date)),
    kind text not null check (kind in ('regular', 'special', 'liquidation')),
    amount numeric not null check (amount > 0 and amount < 'infinity'),
    currency text not null references ref.currencies,
    declared_on date,
    record_date date,
    pay_date date,
    like ref._fact including all,
    primary key (instrument_id, ex_date, kind, known_at)
);
create unique index dividends_current_key on ref.dividends (instrument_id, ex_date, kind)
    where superseded_at = 'infinity';
comment on table ref.dividends is
    'Cash per share held at the close before ex_date: before a split of the same date.';

create table ref.spin_offs (
    instrument_id integer not null references ref.instruments,
    ex_date date not null check (isfinite(ex_date)),
    child text not null check (child <> ''),
    child_instrument_id integer references ref.instruments,
    ratio numeric check (ratio > 0 and ratio < 'infinity'),
    value numeric check (value > 0 and value < 'infinity'),
    currency text not null references ref.currencies,
    cash_in_lieu numeric check (cash_in_lieu >= 0 and cash_in_lieu < 'infinity'),
    declared_on date,
    pay_date date,
    like ref._fact including all,
    primary key (instrument_id, ex_date, child, known_at),
    check (child_instrument_id <> instrument_id or value is not null),
    constraint spin_offs_worth check (
        value is not null or (child_instrument_id is not null and ratio is not null))
);
create unique index spin_offs_current_key on ref.spin_offs (instrument_id, ex_date, child)
    where superseded_at = 'infinity';
comment on table ref.spin_offs is
    'Shares of another company handed out: ratio of them for every share held at the close before ex_date.';
comment on column ref.spin_offs.child is 'Its symbol, or its name when it has none with us.';
comment on column ref.spin_offs.value is
    'What was handed out per share held, in prices of before ex_date. Null: known from the child''s close on ex_date.';

insert into ref.fact_kinds (kind, key_columns, alone_columns, defaults) values
    ('symbols', '{instrument_id,symbol,valid_from}', '{symbol}', '{"valid_to": "infinity"}'),
    ('listings', '{instrument_id,venue,valid_from}', '{instrument_id,venue}',
     '{"valid_to": "infinity", "is_primary": true}'),
    ('tick_sizes', '{instrument_id,price_from,valid_from}', '{instrument_id,price_from}',
     '{"valid_to": "infinity", "price_from": 0}'),
    ('lot_sizes', '{instrument_id,price_from,valid_from}', '{instrument_id,price_from}',
     '{"valid_to": "infinity", "price_from": 0}'),
    ('fees', '{venue,fee,side,liquidity,valid_from}', '{venue,fee,side,liquidity}',
     '{"valid_to": "infinity", "fee": "venue", "side": "any", "liquidity": "any", "per_share": 0,
       "basis_points": 0, "currency": "USD"}'),
    ('index_members', '{index_name,instrument_id,valid_from}', '{index_name,instrument_id}',
     '{"valid_to": "infinity"}'),
    ('splits', '{instrument_id,ex_date}', null, '{"old_shares": 1}'),
    ('dividends', '{instrument_id,ex_date,kind}', null, '{"kind": "regular", "currency": "USD"}'),
    ('spin_offs', '{instrument_id,ex_date,child}', null, '{"currency": "USD"}');

drop table ref._dated_fact;
drop table ref._fact;

-- Its new form comes with the manifest.
drop function if exists ref.instrument_id(text);
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
