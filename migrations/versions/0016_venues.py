"""Simulated venues as rows: matching rules, participants, richer orders, commands and faults."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

SQL = """
insert into ref.venues (venue, name, kind, simulated, fee_per_share) values
    ('SIMPR', 'Simulated lit venue, pro rata', 'lit', true, 0.003),
    ('SIMDARK', 'Simulated dark pool at the midpoint', 'dark', true, 0.001);

create table venue._settings (
    venue text primary key,
    matching text not null default 'price_time'
        check (matching in ('price_time', 'pro_rata', 'midpoint')),
    self_trade text not null default 'allow' check (self_trade in
        ('allow', 'cancel_resting', 'cancel_incoming', 'cancel_both', 'decrement')),
    static_band integer check (static_band > 0),
    dynamic_band integer check (dynamic_band > 0),
    minimum_share integer not null default 0 check (minimum_share >= 0),
    top_order boolean not null default false,
    opening_auction boolean not null default false,
    opens_at time,
    closing_auction boolean not null default false,
    closes_at time,
    throttle_messages integer check (throttle_messages > 0),
    throttle_mode text not null default 'reject' check (throttle_mode in ('reject', 'delay')),
    cancel_on_disconnect boolean not null default false,
    latency_ms integer not null default 0 check (latency_ms between 0 and 60000),
    pending_ms integer check (pending_ms between 0 and 60000),
    maker_fee numeric not null default 0,
    taker_fee numeric not null default 0,
    updated_at timestamptz not null default clock_timestamp()
);
comment on table venue._settings is
    'How each simulated venue works; read when its process starts.';
comment on column venue._settings.static_band is
    'Width of the band around the reference price in basis points; null: none.';
comment on column venue._settings.dynamic_band is
    'Width of the band around the market in basis points; null: none.';
comment on column venue._settings.minimum_share is
    'Pro rata: smaller shares of the first pass are zero; units of the instrument.';
comment on column venue._settings.top_order is
    'Pro rata: the order that opened the best price of its side goes first.';
comment on column venue._settings.opens_at is
    'New York time at which the opening auction is held; null: with the first quote of the day.';
comment on column venue._settings.closes_at is
    'New York time at which the closing auction begins to collect orders; null: it is held with what there is when the day ends.';
comment on column venue._settings.throttle_messages is
    'Requests per second that a participant may send; null: any number.';
comment on column venue._settings.latency_ms is 'Every report leaves that much later.';
comment on column venue._settings.pending_ms is
    'Requests are acknowledged as pending, and decided that much later; null: decided at once.';
comment on column venue._settings.maker_fee is
    'Per share of what rested, account currency, negative for a rebate; reported as commission.';
insert into venue._settings (venue, matching, self_trade, static_band, maker_fee, taker_fee) values
    ('SIM', 'price_time', 'allow', null, 0, 0),
    ('SIMPR', 'pro_rata', 'cancel_incoming', 1000, -0.002, 0.003),
    ('SIMDARK', 'midpoint', 'cancel_incoming', null, 0.001, 0.001);

create table venue._participants (
    venue text not null,
    participant text not null,
    username text,
    password_hash text check (password_hash like 'scrypt$%'),
    password_from text check (password_from ~ '^(env|file):.+'),
    drop_copy boolean not null default false,
    cancel_on_disconnect boolean,
    primary key (venue, participant),
    check (password_hash is null or password_from is null)
);
comment on table venue._participants is
    'What a venue knows of a participant beyond its CompID; one without a row has no password.';
comment on column venue._participants.password_from is
    'Where the venue''s process finds the password: env:NAME or file:PATH. Never the password.';
comment on column venue._participants.drop_copy is
    'Gets a copy of every execution report of the venue, and may not trade.';
comment on column venue._participants.cancel_on_disconnect is 'Null: as the venue.';

alter table venue._messages
    add column due_at timestamptz,
    add column handled boolean not null default true,
    add column acknowledged boolean not null default false;
create index on venue._messages (venue, message_no) where not handled;
comment on column venue._messages.acknowledged is
    'A report has said that the request is pending.';
comment on column venue._messages.due_at is
    'When a request that was put off is decided; it is not handled until then.';

alter table venue._orders
    add column root_cl_ord_id text,
    add column stop_price numeric,
    add column expire_at timestamptz,
    add column peg_reference text check (peg_reference in ('primary', 'midpoint', 'market')),
    add column peg_offset numeric not null default 0,
    add column post_only boolean not null default false,
    add column display_quantity numeric,
    add column min_quantity numeric,
    add column pending text check (pending in ('new', 'replace', 'cancel')),
    add column book jsonb,
    drop constraint _orders_status_check,
    add constraint _orders_status_check check (status in ('new', 'partially_filled', 'filled',
        'stopped', 'suspended', 'done_for_day', 'cancelled', 'rejected', 'expired'));
update venue._orders set root_cl_ord_id = cl_ord_id;
alter table venue._orders alter column root_cl_ord_id set not null;
drop index venue._orders_venue_participant_cancel_cl_ord_id_idx;
drop index venue._orders_venue_order_no_idx;
create index on venue._orders (venue, order_no)
    where status not in ('filled', 'cancelled', 'rejected', 'expired');
comment on column venue._orders.cl_ord_id is 'The ClOrdID accepted last: a replacement moves it on.';
comment on column venue._orders.root_cl_ord_id is 'The ClOrdID under which it was entered.';
comment on column venue._orders.pending is 'What was asked for and is not decided yet.';
comment on column venue._orders.book is 'How it stands in its book, for a new process to restore it.';

create table venue._cl_ord_ids (
    venue text not null,
    participant text not null,
    cl_ord_id text not null,
    order_no bigint not null,
    primary key (venue, participant, cl_ord_id)
);
comment on table venue._cl_ord_ids is
    'Every ClOrdID of an order: of its entry and of accepted or pending replacements and cancels.';
insert into venue._cl_ord_ids (venue, participant, cl_ord_id, order_no)
select venue, participant, cl_ord_id, order_no from venue._orders
union all
select venue, participant, cancel_cl_ord_id, order_no from venue._orders
where cancel_cl_ord_id is not null
on conflict do nothing;

alter table venue._reports
    add column copy_of bigint,
    add column reference_no bigint,
    add column fee numeric,
    drop constraint _reports_check,
    add constraint _reports_check check (exec_type is null or copy_of is not null
        or (exec_type in ('F', 'G')) = (quantity is not null and price is not null));
drop index venue._reports_venue_order_no_idx;
create index on venue._reports (venue, order_no) where exec_type in ('F', 'G', 'H');
create index on venue._reports (venue, exec_id) where copy_of is null and exec_type in ('F', 'G', 'H');
comment on column venue._reports.copy_of is 'Drop copies: the report they repeat.';
comment on column venue._reports.reference_no is 'Busts (H) and corrections (G): the report they undo.';
comment on column venue._reports.fee is 'Commission of an execution.';

alter table venue._books add column state jsonb;
comment on column venue._books.state is 'Phase and reference prices of the book.';

create table venue._commands (
    command_no bigint generated always as identity primary key,
    venue text not null,
    kind text not null,
    parameters jsonb not null default '{}' check (jsonb_typeof(parameters) = 'object'),
    requested_by text not null default session_user,
    requested_at timestamptz not null default clock_timestamp(),
    done_at timestamptz,
    result text
);
create index on venue._commands (venue, command_no) where done_at is null;
comment on table venue._commands is
    'What operators ask of a venue; done in the transaction that acts on it, with what came of it.';

create table venue._faults (
    fault_no bigint generated always as identity primary key,
    venue text not null,
    kind text not null,
    parameters jsonb not null default '{}' check (jsonb_typeof(parameters) = 'object'),
    armed_by text not null default session_user,
    armed_at timestamptz not null default clock_timestamp(),
    fired_at timestamptz
);
create index on venue._faults (venue, fault_no) where fired_at is null;
comment on table venue._faults is
    'Faults that a venue is to have: armed by an operator, fired once.';
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
