"""Backtests over daily bars: costs with impact, results in the shapes of live trading, sweeps, guards."""

from __future__ import annotations

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

SQL = """
drop function if exists backtest._read_run(jsonb, timestamptz, timestamptz);
drop function if exists backtest._run_quotes(jsonb, integer[], timestamptz, timestamptz);
drop function if exists backtest._simulate(bigint, jsonb, backtest.cost_models, timestamptz, timestamptz);

-- Costs ----------------------------------------------------------------------------------------------

alter table backtest.cost_models
    add column fee_bps numeric not null default 0 check (fee_bps >= 0 and fee_bps < 'infinity'),
    add column fee_minimum numeric not null default 0 check (fee_minimum >= 0 and fee_minimum < 'infinity'),
    add column slippage_bps numeric not null default 0 check (slippage_bps >= 0 and slippage_bps < 'infinity'),
    add column impact_coefficient numeric not null default 0
        check (impact_coefficient >= 0 and impact_coefficient < 'infinity'),
    add column impact_exponent numeric not null default 0.5 check (impact_exponent between 0.1 and 1),
    add column impact_days integer not null default 20 check (impact_days between 2 and 60);
alter table backtest.cost_models
    add constraint cost_models_finite check (
        spread_share < 'infinity' and bar_half_spread_bps < 'infinity' and fee_per_share < 'infinity');
comment on column backtest.cost_models.fee_per_share is 'Fee per share really traded, account currency.';
comment on column backtest.cost_models.fee_bps is 'Fee in basis points of the value.';
comment on column backtest.cost_models.fee_minimum is 'Least fee of an order, account currency.';
comment on column backtest.cost_models.slippage_bps is
    'Paid beyond spread and impact by every fill, in basis points of the price.';
comment on column backtest.cost_models.impact_coefficient is
    'Market impact, a share of the price: coefficient * daily volatility * (quantity / daily volume) ^ impact_exponent. 0: none.';
comment on column backtest.cost_models.impact_exponent is
    '0.5 is the square-root law (Torre 1997; Toth et al., Phys. Rev. X 1, 021006, 2011); Almgren et al. (2005) fit 0.6.';
comment on column backtest.cost_models.impact_days is
    'Over how many daily bars before the fill volatility and volume are taken.';
update backtest.cost_models
set description = 'Adverse side of the quote, or 2 basis points on bars; a fee per share; square-root impact on daily bars',
    impact_coefficient = 1
where cost_model = 'realistic';
insert into backtest.cost_models
    (cost_model, description, spread_share, bar_half_spread_bps, fee_per_share, fee_bps, slippage_bps)
values
    ('percentage', 'One basis point of the value as fee, five as slippage, at the mid', 0, 0, 0, 1, 5);

-- Runs in the shapes of live trading ----------------------------------------------------------------

alter table backtest.runs
    add column seed bigint not null default 0,
    add column sweep_id bigint,
    add column warnings jsonb not null default '[]',
    add column final_equity numeric;
create index on backtest.runs (sweep_id) where sweep_id is not null;
comment on column backtest.runs.seed is 'For strategies that draw numbers from their parameters; the simulation draws none.';
comment on column backtest.runs.parameters is 'As read, with every default: the instances, the source, the costs.';
comment on column backtest.runs.warnings is 'What the run could not do, or did otherwise than asked.';

-- Instruments and pairs are never deleted, and a check per row would double the time a run takes.
alter table backtest.signals
    drop constraint signals_pair_id_fkey,
    drop constraint signals_pkey,
    alter column pair_id drop not null,
    alter column target drop not null,
    alter column spread drop not null,
    alter column z_score drop not null,
    add column instruments integer[],
    add column quantities bigint[],
    add column traded boolean not null default true,
    add column refusal text;
create index on backtest.signals (run_id, as_of);
comment on column backtest.signals.pair_id is 'The pair or instance; null for the rebalance of a portfolio.';
comment on column backtest.signals.event is
    'As the strategy said; expire: its validity ended; delisted: a leg had no news for the time parameters.delisted_after says.';

alter table backtest.orders
    drop constraint orders_instrument_id_fkey,
    alter column pair_id drop not null,
    add column strategy_id integer,
    add column origin text not null default 'signal',
    add column signal_as_of timestamptz,
    add column signal_leg smallint,
    add column time_in_force text not null default 'day',
    add column cumulative_quantity numeric not null default 0,
    add column traded_value numeric not null default 0,
    add column average_price numeric generated always as (traded_value / nullif(cumulative_quantity, 0)) stored,
    add column reasons text[] not null default '{}';
comment on column backtest.orders.as_of is 'When it was decided; its fill may be later.';
comment on column backtest.orders.reasons is
    'last_price: no later price was known, it was filled at the last one. no_price: there was none, it was not filled.';

alter table backtest.executions
    drop constraint executions_instrument_id_fkey,
    add column strategy_id integer,
    add column trade_date date,
    add column kind text not null default 'fill',
    add column impact numeric not null default 0;
comment on column backtest.executions.slippage is
    'What the fill paid beyond the mid, or the bar''s price, account currency: spread, slippage and impact.';
comment on column backtest.executions.impact is 'The market impact that is part of slippage, account currency.';
comment on column backtest.executions.quantity is
    'Over daily bars in units carried forward through corporate actions, as prices are: see docs/backtests.md.';

alter table backtest.equity
    alter column equity type numeric using equity::numeric,
    add column trading_date date,
    add column cash numeric,
    add column market_value numeric,
    add column pnl numeric,
    add column high_water_mark numeric,
    add column drawdown numeric;
update backtest.equity e
set pnl = e.equity, equity = e.equity + (r.parameters->>'capital')::numeric
from backtest.runs r where r.run_id = e.run_id;
comment on table backtest.equity is 'Equity of a run after each time of its steps, account currency.';
comment on column backtest.equity.equity is 'Capital and all that was won and lost: cash and market_value.';
comment on column backtest.equity.pnl is 'Equity less capital. Not, as in portfolio.equity, that of the day.';

-- The prices of one instrument at every time of a run; NaN where there is none, because in arrays
-- without nulls any element is found at once. marks: the last mid known.
create type backtest.price_series as (
    instrument_id integer,
    mids double precision[],
    bids double precision[],
    asks double precision[],
    opens double precision[],
    volumes double precision[],
    factors double precision[],
    marks double precision[]
);

-- A decision of a run; before: the quantities until then.
create type backtest.run_decision as (
    instance_id bigint,
    moment integer,
    as_of timestamptz,
    event text,
    target smallint,
    spread double precision,
    z_score double precision,
    instruments integer[],
    quantities bigint[],
    before bigint[],
    traded boolean,
    refusal text
);

-- Sweeps ---------------------------------------------------------------------------------------------

create table backtest.sweeps (
    sweep_id bigint generated always as identity primary key,
    strategy text not null,
    parameters jsonb not null,
    grid jsonb not null,
    from_ts timestamptz,
    to_ts timestamptz,
    costs text not null,
    run_by text not null default session_user,
    recorded_at timestamptz not null default clock_timestamp()
);
comment on table backtest.sweeps is 'Grids of parameters that were run; their runs are in backtest.runs by sweep_id.';
comment on column backtest.sweeps.grid is 'Every parameter with the values it takes.';
alter table backtest.runs
    add foreign key (sweep_id) references backtest.sweeps on delete set null,
    add column changes jsonb;
comment on column backtest.runs.changes is 'The point of its sweep''s grid.';

-- Guards ---------------------------------------------------------------------------------------------

create table backtest.data_sources (
    relation text primary key,
    known_at text not null,
    description text not null
);
comment on table backtest.data_sources is
    'What a strategy may read, and when each row became known: backtest.check_lookahead takes away what was not known yet.';
comment on column backtest.data_sources.relation is 'Table with its schema.';
comment on column backtest.data_sources.known_at is 'SQL expression over a row r of the table, a time.';
insert into backtest.data_sources (relation, known_at, description) values
    ('market._quotes', 'r.ts', 'Quotes, at their event time'),
    ('market._trades', 'r.ts', 'Trades, at their event time'),
    ('market._book_events', 'r.ts', 'Book events, at their event time'),
    ('market._source_bars', 'backtest.bar_known_at(r.ts, r.resolution)',
     'Vendors'' bars, at their end; daily bars at the close of their date'),
    ('market.batch_quotes', 'r.as_of', 'Quotes that sessions stepped on'),
    ('market.statuses', 'r.ts', 'Statuses, at their event time'),
    ('market.alt_series', 'r.recv_ts', 'Alternative data, at their publication'),
    ('market.news', 'greatest(r.ts, r.recv_ts)', 'News, when published and received'),
    ('market.news_scores', 'r.scored_at', 'Later scores of news, when made'),
    ('ref.splits', 'least(r.known_at, r.ex_date::timestamp at time zone ''America/New_York'')',
     'Splits, at their ex-date at the latest'),
    ('ref.dividends', 'least(r.known_at, r.ex_date::timestamp at time zone ''America/New_York'')',
     'Dividends, at their ex-date at the latest'),
    ('ref.spin_offs', 'least(r.known_at, r.ex_date::timestamp at time zone ''America/New_York'')',
     'Spin-offs, at their ex-date at the latest');
-- Its expressions are run with the owner's rights.
revoke insert, update, delete on backtest.data_sources from tsdb_quant;

-- A state of a run, as far as it is compared; a feature row where there is no instance.
create type backtest.state_mark as (
    kind text,
    id bigint,
    as_of timestamptz,
    digest uuid
);
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
