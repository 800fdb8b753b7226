"""Orders, executions, FIX messages, risk, positions."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SQL = """
create table oms.requests (
    request_id uuid primary key,
    kind text not null check (kind in ('submit', 'cancel')),
    digest text not null,
    recorded_at timestamptz not null default clock_timestamp()
);
comment on table oms.requests is 'Idempotency keys of the order path; the same id with other content is refused.';

create table oms.order_transitions (
    from_status text not null,
    to_status text not null,
    why text not null,
    primary key (from_status, to_status)
);
comment on table oms.order_transitions is 'The only moves an order''s status may make, with the reason each exists.';

create table oms.orders (
    order_id bigint generated always as identity primary key,
    session_id uuid not null references ops.sessions,
    request_id uuid not null references oms.requests,
    request_leg smallint not null,
    account text not null references ref.accounts,
    strategy_id integer not null references signal.strategies,
    origin text not null check (origin in ('signal', 'parent', 'plan', 'operator')),
    signal_id bigint,
    signal_as_of timestamptz,
    signal_leg smallint,
    pair_id bigint,
    parent_order_id bigint references oms.orders,
    plan_id bigint,
    operator text,
    instrument_id integer not null references ref.instruments,
    venue_id integer not null references ref.venues,
    side text not null check (side in ('buy', 'sell', 'sell_short')),
    quantity numeric not null check (quantity > 0 and quantity < 'infinity'),
    order_type text not null check (order_type in ('market', 'limit')),
    limit_price numeric check (limit_price > 0 and limit_price < 'infinity'),
    stop_price numeric check (stop_price > 0 and stop_price < 'infinity'),
    time_in_force text not null check (time_in_force in ('day', 'ioc', 'fok')),
    tags jsonb not null default '{}',
    status text not null,
    reasons text[] not null default '{}',
    cl_ord_id text unique,
    venue_order_id text,
    cumulative_quantity numeric not null default 0 check (cumulative_quantity >= 0),
    leaves_quantity numeric not null check (leaves_quantity >= 0),
    traded_value numeric not null default 0,
    average_price numeric generated always as (traded_value / nullif(cumulative_quantity, 0)) stored,
    event_count integer not null default 0,
    as_of timestamptz not null,
    decision_id bigint not null,
    decided_at timestamptz not null,
    recorded_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    unique (request_id, request_leg),
    check ((order_type = 'limit') = (limit_price is not null)),
    check ((origin = 'signal') = (signal_id is not null and signal_as_of is not null and signal_leg is not null)),
    check ((origin = 'parent') = (parent_order_id is not null)),
    check ((origin = 'plan') = (plan_id is not null)),
    check ((origin = 'operator') = (operator is not null)),
    check ((status = 'denied') = (cl_ord_id is null))
) with (fillfactor = 70);
create unique index orders_signal_leg_key on oms.orders (signal_id, signal_leg) where origin = 'signal';
-- Everything that can still trade: small whatever the history, read by every risk check.
create index orders_working_idx on oms.orders (session_id, account, instrument_id)
    where status in ('pending_new', 'new', 'partially_filled', 'pending_cancel', 'done_for_day', 'unknown');
create index orders_working_pair_idx on oms.orders (session_id, pair_id)
    where status in ('pending_new', 'new', 'partially_filled', 'done_for_day', 'unknown') and pair_id is not null;
create index orders_session_idx on oms.orders (session_id, order_id);
comment on table oms.orders is 'Current state of every order, denied ones included. History: oms.order_events.';
comment on column oms.orders.pair_id is 'The pair whose signal it carries out; see oms.pair_holdings.';
comment on column oms.orders.traded_value is 'Sum of quantity times price over its executions.';
comment on column oms.orders.as_of is 'Session time of the submission; recorded_at is wall time.';

create table oms.pair_holdings (
    session_id uuid not null references ops.sessions,
    pair_id bigint not null,
    instrument_id integer not null,
    quantity numeric not null,
    primary key (session_id, pair_id, instrument_id)
) with (fillfactor = 50);
comment on table oms.pair_holdings is
    'What each pair''s orders have filled, signed: the sum over its orders, kept because every signal needs it.';

create table oms.order_actions (
    action_id bigint generated always as identity primary key,
    order_id bigint not null references oms.orders,
    venue_id integer not null references ref.venues,
    kind text not null check (kind in ('new', 'cancel')),
    cl_ord_id text not null unique,
    orig_cl_ord_id text,
    request_id uuid references oms.requests,
    status text not null default 'pending' check (status in ('pending', 'sent', 'void')),
    possible_resend boolean not null default false,
    message_id bigint,
    message_at timestamptz,
    recorded_at timestamptz not null default clock_timestamp(),
    sent_at timestamptz,
    check ((kind = 'new') = (orig_cl_ord_id is null))
) with (fillfactor = 70);
create index order_actions_pending_idx on oms.order_actions (venue_id, action_id) where status = 'pending';
create index on oms.order_actions (order_id);
comment on table oms.order_actions is
    'Outbox: one row per message to a venue, with its ClOrdID, fixed for good. A pending one may have been sent by a gateway that died.';

create table oms.order_events (
    recorded_at timestamptz not null default clock_timestamp(),
    event_id bigint generated always as identity,
    order_id bigint not null,
    event_no integer not null,
    kind text not null,
    from_status text,
    to_status text not null,
    as_of timestamptz not null,
    cumulative_quantity numeric not null,
    leaves_quantity numeric not null,
    average_price numeric,
    execution_id bigint,
    message_id bigint,
    detail jsonb not null default '{}'
);
select public.create_hypertable('oms.order_events', public.by_range('recorded_at', interval '30 days'),
                                create_default_indexes => false);
create index on oms.order_events (order_id, event_no);
comment on table oms.order_events is 'Append-only history of every order; folding it gives oms.orders.';

create table oms.execution_keys (
    venue_id integer not null references ref.venues,
    trade_date date not null,
    exec_id text not null,
    digest text not null,
    execution_id bigint,
    primary key (venue_id, trade_date, exec_id)
);
comment on table oms.execution_keys is
    'Ledger of reports already applied, by venue, trade date and ExecID: a repeated report changes nothing.';

create table oms.executions (
    ts timestamptz not null,
    execution_id bigint generated always as identity,
    order_id bigint,
    session_id uuid not null,
    account text not null,
    strategy_id integer not null,
    instrument_id integer not null,
    venue_id integer not null,
    trade_date date not null,
    exec_id text not null,
    side text not null check (side in ('buy', 'sell', 'sell_short')),
    quantity numeric not null check (quantity > 0),
    price numeric not null check (price > 0),
    fee numeric not null,
    message_id bigint not null,
    message_at timestamptz not null,
    recorded_at timestamptz not null default clock_timestamp()
);
select public.create_hypertable('oms.executions', public.by_range('ts', interval '30 days'),
                                create_default_indexes => false);
create index on oms.executions (execution_id);
create index on oms.executions (order_id);
create index on oms.executions (session_id, ts);
comment on table oms.executions is 'Fills. ts: the venue''s TransactTime (session time). order_id is null for fills in suspense.';

create table oms.fix_messages (
    recorded_at timestamptz not null default clock_timestamp(),
    message_id bigint generated always as identity,
    fix_session text not null,
    direction text not null check (direction in ('in', 'out')),
    seqnum bigint not null,
    msg_type text not null,
    sending_time timestamptz,
    cl_ord_id text,
    orig_cl_ord_id text,
    exec_id text,
    raw text not null
);
select public.create_hypertable('oms.fix_messages', public.by_range('recorded_at', interval '30 days'),
                                create_default_indexes => false);
create index on oms.fix_messages (message_id);
create index on oms.fix_messages (fix_session, direction, seqnum);
create index on oms.fix_messages (cl_ord_id) where cl_ord_id is not null;
comment on table oms.fix_messages is 'Every FIX message in and out, raw, with SOH as the separator.';

create table oms.breaks (
    break_id bigint generated always as identity primary key,
    kind text not null check (kind in ('unknown_order', 'quantity', 'status', 'execution_content', 'missing_execution')),
    session_id uuid,
    order_id bigint references oms.orders,
    venue_id integer references ref.venues,
    ours jsonb not null,
    theirs jsonb not null,
    first_seen timestamptz not null default clock_timestamp(),
    last_seen timestamptz not null default clock_timestamp(),
    resolved_at timestamptz,
    resolution text
);
create index on oms.breaks (order_id) where resolved_at is null;
comment on table oms.breaks is 'Differences between a venue''s view and ours, both sides kept; never patched silently.';

create table risk.controls (
    control text primary key,
    unit text not null,
    needs_limit boolean not null,
    description text not null
);
comment on table risk.controls is 'The codes of the pre-trade controls, in the order they are reported.';

create table risk.limits (
    limit_id bigint generated always as identity primary key,
    control text not null references risk.controls,
    scope jsonb not null check (jsonb_typeof(scope) = 'object'),
    value numeric not null check (value >= 0 and value < 'infinity'),
    reason text not null check (reason <> ''),
    set_by text not null default session_user,
    valid_from timestamptz not null default '-infinity',
    valid_to timestamptz not null default 'infinity',
    recorded_at timestamptz not null default clock_timestamp(),
    superseded_at timestamptz not null default 'infinity',
    check (valid_from < valid_to)
);
create unique index limits_current_key on risk.limits (control, scope, valid_from)
    where superseded_at = 'infinity';
comment on table risk.limits is
    'Bitemporal: valid_* in session time, recorded_at/superseded_at in wall time. The tightest limit whose scope the order matches binds.';

create table risk.halts (
    halt_id bigint generated always as identity primary key,
    scope jsonb not null check (jsonb_typeof(scope) = 'object'),
    reason text not null check (reason <> ''),
    halted_by text not null default session_user,
    halted_at timestamptz not null default clock_timestamp(),
    resumed_at timestamptz,
    resumed_by text,
    resume_reason text
);
create unique index halts_current_key on risk.halts (scope) where resumed_at is null;
comment on table risk.halts is 'Trading stops by scope; {} stops everything.';

create table risk.decisions (
    decided_at timestamptz not null default clock_timestamp(),
    decision_id bigint generated always as identity,
    order_id bigint not null,
    as_of timestamptz not null,
    passed boolean not null,
    controls text[] not null,
    passes boolean[] not null,
    reasons text[] not null,
    observed numeric[] not null,
    limit_values numeric[] not null
);
select public.create_hypertable('risk.decisions', public.by_range('decided_at', interval '30 days'),
                                create_default_indexes => false);
create index on risk.decisions (order_id);
comment on table risk.decisions is 'One packed row per order; risk.checks unpacks it.';

create table portfolio._positions (
    session_id uuid not null references ops.sessions,
    account text not null references ref.accounts,
    strategy_id integer not null references signal.strategies,
    instrument_id integer not null references ref.instruments,
    quantity numeric not null default 0,
    cost numeric not null default 0,
    realized_pnl numeric not null default 0,
    fees numeric not null default 0,
    cash numeric not null default 0,
    bought_quantity numeric not null default 0,
    sold_quantity numeric not null default 0,
    updated_at timestamptz not null default clock_timestamp(),
    primary key (session_id, account, strategy_id, instrument_id)
) with (fillfactor = 50);
comment on table portfolio._positions is 'By average cost, changed in the transaction that books a fill; read portfolio.positions.';
comment on column portfolio._positions.cost is
    'What the open quantity cost, negative when short; kept instead of an average so that realized_pnl - fees = cash + cost holds to the last digit.';

create table portfolio.pnl_history (
    as_of timestamptz not null,
    session_id uuid not null,
    account text not null,
    strategy_id integer not null,
    realized_pnl numeric not null,
    unrealized_pnl numeric,
    fees numeric not null,
    gross_exposure numeric,
    net_exposure numeric,
    recorded_at timestamptz not null default clock_timestamp()
);
select public.create_hypertable('portfolio.pnl_history', public.by_range('as_of', interval '30 days'),
                                create_default_indexes => false);
create index on portfolio.pnl_history (session_id, as_of);
comment on table portfolio.pnl_history is 'Marks of the risk monitor, by session, account and strategy, in account currency.';

-- An order as the controls see it: names resolved to keys, every field checked.
create type risk.order_request as (
    session_id uuid,
    account text,
    strategy_id integer,
    strategy text,
    instrument_id integer,
    symbol text,
    venue_id integer,
    venue text,
    side text,
    quantity numeric,
    order_type text,
    limit_price numeric,
    stop_price numeric,
    time_in_force text,
    origin text,
    signal_id bigint,
    signal_as_of timestamptz,
    signal_leg smallint,
    pair_id bigint,
    parent_order_id bigint,
    plan_id bigint,
    operator text,
    tags jsonb
);
create type risk.verdict as (
    passed boolean,
    controls text[],
    passes boolean[],
    reasons text[],
    observed numeric[],
    limit_values numeric[]
);

insert into risk.controls (control, unit, needs_limit, description) values
    ('session', '', false, 'the session is open'),
    ('account', '', false, 'the account is active'),
    ('strategy', '', false, 'the strategy is active'),
    ('instrument', '', false, 'the instrument is active'),
    ('venue', '', false, 'the venue is active'),
    ('halt', '', false, 'no halt covers the order'),
    ('market_data', 's', true, 'age of the session''s latest usable quote of the instrument'),
    ('order_quantity', 'units', true, 'quantity of one order'),
    ('order_value', 'account currency', true, 'quantity times limit price, or times the adverse quote for a market order'),
    ('price_collar', 'fraction', true, 'distance of the limit price, or of the adverse quote for a market order, from the mid'),
    ('position', 'units', true, 'position per account and instrument if all working orders of the side and this one fill; reducing is always allowed');

-- Shipped so that nothing trades unlimited; an operator sets tighter or wider ones.
insert into risk.limits (control, scope, value, reason, set_by) values
    ('market_data', '{}', 60, 'shipped default', 'installation'),
    ('order_quantity', '{}', 10000, 'shipped default', 'installation'),
    ('order_value', '{}', 1000000, 'shipped default', 'installation'),
    ('price_collar', '{}', 0.05, 'shipped default', 'installation'),
    ('position', '{}', 50000, 'shipped default', 'installation');

insert into oms.order_transitions (from_status, to_status, why) values
    ('pending_new', 'new', 'the venue accepted it'),
    ('pending_new', 'partially_filled', 'a fill overtook the acknowledgement'),
    ('pending_new', 'filled', 'filled at once, without an acknowledgement of its own'),
    ('pending_new', 'rejected', 'the venue refused it'),
    ('pending_new', 'cancelled', 'an unfilled immediate order, or cancelled before it was acknowledged'),
    ('pending_new', 'expired', 'an immediate order that found no liquidity'),
    ('pending_new', 'pending_cancel', 'we asked to cancel before it was acknowledged'),
    ('pending_new', 'unknown', 'a gateway stopped while it may have been sent'),
    ('new', 'partially_filled', 'first fill'),
    ('new', 'filled', 'one fill for all of it'),
    ('new', 'pending_cancel', 'we asked to cancel'),
    ('new', 'cancelled', 'the venue cancelled it, asked or not'),
    ('new', 'rejected', 'the venue refused it after accepting it'),
    ('new', 'expired', 'its time in force ended'),
    ('new', 'done_for_day', 'the venue stopped working it today'),
    ('partially_filled', 'filled', 'the last fill'),
    ('partially_filled', 'pending_cancel', 'we asked to cancel the rest'),
    ('partially_filled', 'cancelled', 'the rest was cancelled, asked or not'),
    ('partially_filled', 'expired', 'the rest ran out of time'),
    ('partially_filled', 'done_for_day', 'the venue stopped working the rest today'),
    ('pending_cancel', 'cancelled', 'the cancel was accepted'),
    ('pending_cancel', 'filled', 'a fill beat our cancel'),
    ('pending_cancel', 'new', 'the cancel was refused, nothing is filled'),
    ('pending_cancel', 'partially_filled', 'the cancel was refused, something is filled'),
    ('pending_cancel', 'rejected', 'the venue refused the order itself'),
    ('pending_cancel', 'expired', 'it ended before our cancel'),
    ('pending_cancel', 'unknown', 'a gateway stopped while the cancel may have been sent'),
    ('unknown', 'pending_new', 'the venue does not know it: it may go again, with PossResend'),
    ('unknown', 'new', 'the venue answered that it has it'),
    ('unknown', 'partially_filled', 'the venue answered that it has it, in part filled'),
    ('unknown', 'filled', 'the venue filled it'),
    ('unknown', 'rejected', 'the venue had refused it'),
    ('unknown', 'cancelled', 'the venue had cancelled it, or never knew it and we had asked to cancel'),
    ('unknown', 'expired', 'it ended at the venue'),
    ('unknown', 'done_for_day', 'the venue stopped working it today'),
    ('unknown', 'pending_cancel', 'the venue has it and our cancel goes again'),
    ('cancelled', 'filled', 'the fill crossed our cancel'),
    ('done_for_day', 'pending_cancel', 'we asked to cancel while it was not worked'),
    ('done_for_day', 'new', 'the venue works it again the next day'),
    ('done_for_day', 'partially_filled', 'a late fill, or worked again the next day'),
    ('done_for_day', 'filled', 'a late fill'),
    ('done_for_day', 'cancelled', 'cancelled while not worked'),
    ('done_for_day', 'expired', 'ended while not worked');

-- The table decides, not the code: no statement can move an order along an unlisted edge.
create function oms._check_transition() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (
        select from oms.order_transitions
        where from_status = old.status and to_status = new.status) then
        raise exception 'order % cannot go from % to %', new.order_id, old.status, new.status
            using errcode = 'TT004';
    end if;
    return new;
end
$$;
create trigger check_transition before update of status on oms.orders
    for each row when (old.status is distinct from new.status)
    execute function oms._check_transition();

create function oms._refuse_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception '%.% is append-only', tg_table_schema, tg_table_name using errcode = 'TT004';
end
$$;
create trigger refuse_change before update or delete on oms.order_events
    for each row execute function oms._refuse_change();
create trigger refuse_change before update or delete on risk.decisions
    for each row execute function oms._refuse_change();
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
