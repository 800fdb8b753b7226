"""Trade conditions, rollups on several levels, retention."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

CONDITIONS = """
create table ref.condition_vocabularies (
    vocabulary text primary key check (vocabulary ~ '^[a-z][a-z0-9_]*$'),
    splits text not null check (splits in ('hex_bits', 'letters', 'whole')),
    combines text not null check (combines in ('all', 'any')),
    description text not null,
    source text not null
);
comment on table ref.condition_vocabularies is
    'Languages in which sources write the conditions of a trade.';
comment on column ref.condition_vocabularies.splits is
    'How a text gives codes. hex_bits: a bit mask in hexadecimal, each bit a code such as 20; letters: each character but blanks; whole: the text itself.';
comment on column ref.condition_vocabularies.combines is
    'all: a trade counts for prices when every code of it does; any: when one does. Volume always needs all.';

create table ref.trade_conditions (
    vocabulary text not null references ref.condition_vocabularies,
    code text not null,
    name text not null,
    updates_open_close boolean not null default true,
    updates_high_low boolean not null default true,
    updates_volume boolean not null default true,
    known boolean not null default true,
    description text not null default '',
    primary key (vocabulary, code)
);
comment on table ref.trade_conditions is
    'What a trade with a condition counts for. After a change, market.apply_trade_conditions brings stored trades up to date.';
comment on column ref.trade_conditions.known is
    'False: met in data and not explained by anybody yet; counts as regular until it is.';
comment on column ref.trade_conditions.updates_open_close is
    'The tape''s update last. A rule of the tape that depends on other trades (only if it is the first of the day) is taken as no.';
"""

RULES = """
insert into ref.condition_vocabularies values
    ('algoseek', 'hex_bits', 'any', 'AlgoSeek''s masks, with the filter its customers'' archives of bars were made with',
     'QuantConnect, Data Format, Core Data Types, Trade Tick; names from LEAN, TradeConditionFlags'),
    ('algoseek_tape', 'hex_bits', 'all', 'AlgoSeek''s masks, with the rules of the consolidated tape',
     'names from LEAN, TradeConditionFlags; rules from CTS and UTP, sale conditions'),
    ('taq', 'letters', 'all', 'Sale conditions of NYSE''s daily TAQ and of the consolidated tape (A and B)',
     'CTS Output Specification, sale conditions and processing guidelines'),
    ('utp', 'letters', 'all', 'Sale conditions of the UTP tape (C)',
     'UTP Output Specification, sale conditions and processing guidelines'),
    ('itch', 'letters', 'all', 'Nasdaq TotalView-ITCH 5.0: cross types and the printable flag',
     'NQTVITCHSpecification 5.0, trade messages');

-- last, high and low, volume.
insert into ref.trade_conditions
    (vocabulary, code, name, updates_open_close, updates_high_low, updates_volume, description)
select v.vocabulary, c.code, c.name, c.last, c.high_low, c.volume, c.description
from (values
    ('@', 'regular', true, true, true, ''),
    ('C', 'cash', false, false, true, 'settles the same day'),
    ('F', 'intermarket sweep', true, true, true, ''),
    ('H', 'price variation', false, false, true, ''),
    ('I', 'odd lot', false, false, true, ''),
    ('K', 'rule 127 or 155', true, true, true, ''),
    ('L', 'sold last', true, true, true, 'reported late, in sequence'),
    ('M', 'official close', false, false, false, 'repeats the closing trade'),
    ('N', 'next day', false, false, true, 'settles the next day'),
    ('O', 'opening print', true, true, true, ''),
    ('P', 'prior reference price', false, true, true, 'last only if it is the first of the day'),
    ('Q', 'official open', false, false, false, 'repeats the opening trade'),
    ('R', 'seller', false, false, true, 'settles at the seller''s option'),
    ('T', 'extended hours', false, false, true, ''),
    ('U', 'extended hours, out of sequence', false, false, true, ''),
    ('V', 'contingent', false, false, true, ''),
    ('X', 'cross', true, true, true, ''),
    ('Z', 'sold out of sequence', false, true, true, 'last only if it is the first of the day'),
    ('1', 'stopped stock', true, true, true, ''),
    ('4', 'derivatively priced', false, true, true, 'last only if it is the first of the day'),
    ('5', 'reopening print', true, true, true, ''),
    ('6', 'closing print', true, true, true, ''),
    ('7', 'qualified contingent', false, false, true, ''),
    ('8', 'reserved', true, true, true, ''),
    ('9', 'corrected consolidated close', true, true, false, '')
) c (code, name, last, high_low, volume, description)
cross join (values ('taq'), ('utp')) v (vocabulary);

insert into ref.trade_conditions
    (vocabulary, code, name, updates_open_close, updates_high_low, description)
values
    ('taq', 'B', 'average price', false, false, ''),
    ('taq', 'E', 'automatic execution', true, true, ''),
    ('taq', 'W', 'average price', false, false, 'of trades of tape C'),
    ('utp', 'A', 'acquisition', true, true, ''),
    ('utp', 'B', 'bunched', true, true, ''),
    ('utp', 'D', 'distribution', true, true, ''),
    ('utp', 'G', 'bunched sold', false, true, 'last only if it is the first of the day'),
    ('utp', 'S', 'split', true, true, ''),
    ('utp', 'W', 'average price', false, false, ''),
    ('utp', 'Y', 'yellow flag', true, true, '');

insert into ref.trade_conditions
    (vocabulary, code, name, updates_open_close, updates_high_low, updates_volume, description)
values
    ('itch', 'O', 'opening cross', true, true, true, ''),
    ('itch', 'C', 'closing cross', true, true, true, ''),
    ('itch', 'H', 'cross after a halt or an IPO', true, true, true, ''),
    ('itch', 'I', 'intraday cross', true, true, true, ''),
    ('itch', 'E', 'execution', true, true, true, 'at the price of the order'),
    ('itch', 'Y', 'execution, printable', true, true, true, 'at another price'),
    ('itch', 'P', 'execution of a hidden order', true, true, true, ''),
    ('itch', 'N', 'execution, not printable', false, false, false, 'part of a cross, which is reported as a whole');

-- AlgoSeek's bits. filter: counts for prices in the archive's own bars. The archive's documentation
-- lists those included and those excluded; bits it does not mention follow the tape, except that
-- one which only comes with an excluded bit (9, 20 with 29) must not bring such a trade back.
insert into ref.trade_conditions
    (vocabulary, code, name, updates_open_close, updates_high_low, updates_volume, description)
select v.vocabulary, to_hex(1::bigint << b.bit), b.name,
       case v.vocabulary when 'algoseek' then b.filter else b.last end,
       case v.vocabulary when 'algoseek' then b.filter else b.high_low end,
       b.volume, b.description
from (values
    (0, 'regular', true, true, true, true, 'the filter includes it'),
    (1, 'cash', true, false, false, true, 'the filter includes it'),
    (2, 'next day', true, false, false, true, 'the filter includes it'),
    (3, 'seller', false, false, false, true, ''),
    (4, 'yellow flag', true, true, true, true, ''),
    (5, 'intermarket sweep', false, true, true, true, 'the filter excludes it'),
    (6, 'opening print', true, true, true, true, 'the filter includes it'),
    (7, 'closing print', true, true, true, true, 'the filter includes it'),
    (8, 'reopening print', true, true, true, true, ''),
    (9, 'derivatively priced', false, false, true, true, ''),
    (10, 'form T', true, false, false, true, 'the filter includes it'),
    (11, 'sold last', true, true, true, true, ''),
    (12, 'stopped stock', true, true, true, true, ''),
    (13, 'extended hours', true, false, false, true, 'the filter includes it'),
    (14, 'out of sequence', true, false, true, true, ''),
    (15, 'split', true, true, true, true, ''),
    (16, 'acquisition', true, true, true, true, ''),
    (17, 'bunched', true, true, true, true, ''),
    (18, 'contingent on an option', false, false, false, true, ''),
    (19, 'distribution', true, true, true, true, ''),
    (20, 'average price', false, false, false, true, ''),
    (21, 'cross', true, true, true, true, ''),
    (22, 'price variation', false, false, false, true, ''),
    (23, 'rule 155', true, true, true, true, ''),
    (24, 'official close', false, false, false, false, 'repeats the closing trade'),
    (25, 'prior reference price', true, false, true, true, ''),
    (26, 'official open', false, false, false, false, 'repeats the opening trade'),
    (27, 'CAP election', true, true, true, true, ''),
    (28, 'automatic execution', true, true, true, true, ''),
    (29, 'trade-through exempt', false, true, true, true, 'the filter excludes it'),
    (31, 'odd lot', false, false, false, true, 'the filter excludes it')
) b (bit, name, filter, last, high_low, volume, description)
cross join (values ('algoseek'), ('algoseek_tape')) v (vocabulary);

grant insert, update on ref.trade_conditions, ref.condition_vocabularies to tsdb_operator;
"""

ROLLUPS = """
-- What was declared so far is declared anew by the manifest, on two tables and five levels, and
-- computed again from the ticks.
do $$
declare
    v_rollup market.rollups;
begin
    for v_rollup in select * from market.rollups loop
        execute pg_catalog.format(
            'drop %s market.%I cascade',
            case when v_rollup.native then 'materialized view' else 'table' end,
            '_' || v_rollup.rollup);
    end loop;
    delete from market.rollups;
end
$$;
-- Their new forms come with the manifest; the last is used no more.
drop function if exists market.declare_rollup(text, regclass, interval, text, text, text);
drop function if exists market._create_own_rollup(text, text, text);
drop function if exists market._create_native_rollup(text, text, text);
drop function if exists market._tick_order(timestamptz, smallint, integer, bigint, bigint);
alter table market.rollups
    drop column view_query,
    add column base text not null,
    add column level smallint not null,
    add column timezone text not null default 'UTC';
comment on table market.rollups is
    'Rollups as declared with market.declare_rollup. native: TimescaleDB keeps it (continuous aggregate).';
comment on column market.rollups.source is 'The table or the rollup it is computed from.';
comment on column market.rollups.base is 'The table of ticks at the bottom.';
comment on column market.rollups.level is '1: computed from ticks; 2: from a rollup of level 1, and so on.';
comment on column market.rollups.timezone is 'Where buckets of days start at midnight.';

create table market.retention (
    hypertable text primary key,
    keep interval check (keep >= interval '1 day'),
    compress_after interval check (compress_after >= interval '1 hour'),
    dropped_before timestamptz,
    changed_at timestamptz not null default clock_timestamp()
);
comment on table market.retention is
    'How long a hypertable keeps its rows; see market.set_retention.';
comment on column market.retention.keep is
    'Chunks are dropped when both their latest possible row and their loading are older; null: never.';
comment on column market.retention.compress_after is
    'Age at which chunks are compressed, where the server can (Community edition); null: never.';
comment on column market.retention.dropped_before is
    'Rows before this were dropped. What was computed from them stays as it is.';
"""


def upgrade() -> None:
    execute = op.get_bind().connection.driver_connection.execute
    for statements in (CONDITIONS, RULES, ROLLUPS):
        execute(statements)
