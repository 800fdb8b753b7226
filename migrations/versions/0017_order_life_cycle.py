"""The whole life of an order: terms, replaces, contingent orders, busts, a log that shows tampering."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

SQL = """
-- Functions whose signature changes; sql/ has the new ones.
drop function if exists oms._add_event(bigint, text, text, timestamptz, numeric, numeric, bigint, bigint, jsonb, text);
drop function if exists oms._next_status(oms.orders, text, numeric);
drop function if exists oms._note_break(text, uuid, bigint, integer, jsonb, jsonb);
drop function if exists oms._book_execution(oms.orders, ref.venues, jsonb, date, oms.fix_messages);
drop function if exists oms.pending_actions(text, integer);
drop function if exists risk._evaluate(risk.order_request, timestamptz, risk.order_request[]);

-- Orders -------------------------------------------------------------------------------------------

-- What is left of an order: nothing once it is over. The generated column of oms.orders says the same
-- without the function, whose text the server would read anew at every update.
create function oms._leaves(p_status text, p_quantity numeric, p_cumulative numeric)
returns numeric
language sql
immutable
as $$
    select case when p_status in ('filled', 'cancelled', 'rejected', 'expired', 'denied') then 0
                else greatest(p_quantity - p_cumulative, 0) end
$$;
comment on function oms._leaves(text, numeric, numeric) is 'Quantity of an order that is not filled yet.';

drop index oms.orders_working_idx, oms.orders_working_pair_idx;
alter table oms.orders
    drop constraint orders_origin_check,
    drop constraint orders_side_check,
    drop constraint orders_quantity_check,
    drop constraint orders_order_type_check,
    drop constraint orders_limit_price_check,
    drop constraint orders_stop_price_check,
    drop constraint orders_time_in_force_check,
    drop constraint orders_cumulative_quantity_check,
    drop constraint orders_leaves_quantity_check,
    drop constraint orders_check,
    drop constraint orders_check1,
    drop constraint orders_check2,
    drop constraint orders_check3,
    drop constraint orders_check4,
    drop constraint orders_check5,
    drop column leaves_quantity,
    alter column venue_id drop not null,
    add column expire_at timestamptz,
    add column peg_reference text,
    add column peg_offset numeric,
    add column post_only boolean not null default false,
    add column display_quantity numeric,
    add column min_quantity numeric,
    add column reduce_only boolean not null default false,
    add column trader text,
    add column client_ref text,
    add column is_parent boolean not null default false,
    add column trigger_order_id bigint references oms.orders,
    add column oco_group_id bigint,
    add column succeeds_order_id bigint unique references oms.orders,
    add column is_contingent boolean not null default false,
    add column ceiling_quantity numeric,
    add column pending_quantity numeric,
    add column chain_hash bytea not null default '',
    add column is_live boolean not null generated always as (status in ('pending_new', 'new',
        'partially_filled', 'pending_replace', 'pending_cancel', 'stopped', 'suspended', 'done_for_day',
        'unknown')) stored,
    add column awaits_venue boolean not null generated always as (not is_parent and status in (
        'pending_new', 'pending_replace', 'pending_cancel', 'unknown')) stored,
    add column leaves_quantity numeric not null generated always as (
        case when status in ('filled', 'cancelled', 'rejected', 'expired', 'denied') then 0
             else greatest(quantity - cumulative_quantity, 0) end) stored;

-- What constraints would say, in a trigger: the server reads and plans every CHECK of a table anew in
-- every statement, and the update of a status, which can break none of these, would pay for all.
create function oms._check_order() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if (new.side in ('buy', 'sell', 'sell_short')
        and new.quantity > 0 and new.quantity < 'infinity'
        and coalesce(new.limit_price > 0 and new.limit_price < 'infinity', true)
        and coalesce(new.stop_price > 0 and new.stop_price < 'infinity', true)
        and coalesce(new.display_quantity > 0 and new.display_quantity < 'infinity', true)
        and coalesce(new.min_quantity > 0 and new.min_quantity < 'infinity', true)
        and coalesce(new.peg_offset > '-infinity' and new.peg_offset < 'infinity', true)
        and case new.order_type
            when 'market' then num_nonnulls(new.limit_price, new.stop_price, new.peg_reference) = 0
            when 'limit' then new.limit_price is not null and num_nonnulls(new.stop_price, new.peg_reference) = 0
            when 'stop' then new.stop_price is not null and num_nonnulls(new.limit_price, new.peg_reference) = 0
            when 'stop_limit' then num_nulls(new.limit_price, new.stop_price) = 0 and new.peg_reference is null
            when 'pegged' then new.peg_reference in ('primary', 'midpoint', 'market') and new.stop_price is null
            end
        and new.time_in_force in ('day', 'gtc', 'gtd', 'ioc', 'fok', 'at_open', 'at_close')
        and (new.time_in_force = 'gtd') = (new.expire_at is not null)
        and new.origin in ('signal', 'parent', 'plan', 'operator')
        and (new.origin = 'signal') = (num_nulls(new.signal_id, new.signal_as_of, new.signal_leg) = 0)
        and (new.origin = 'parent') = (new.parent_order_id is not null)
        and (new.origin = 'plan') = (new.plan_id is not null)
        and (new.origin = 'operator') = (new.operator is not null)
        and new.is_parent = (new.venue_id is null)
        and (new.is_parent or new.status in ('held', 'denied', 'cancelled') or new.cl_ord_id is not null)
        ) is not true then
        raise exception 'order % contradicts itself', new.order_id
            using errcode = 'check_violation', schema = 'oms', table = 'orders', constraint = 'check_order';
    end if;
    return new;
end
$$;
create trigger check_order before insert or update of side, quantity, limit_price, stop_price, display_quantity,
    min_quantity, peg_reference, peg_offset, order_type, time_in_force, expire_at, origin, signal_id, signal_as_of,
    signal_leg, parent_order_id, plan_id, operator, is_parent, venue_id, cl_ord_id
    on oms.orders for each row execute function oms._check_order();
-- Everything that can still trade: small whatever the history, read by every risk check. No index
-- mentions what changes with every event, so that most updates of an order touch none.
create index orders_working_idx on oms.orders (session_id, account, instrument_id) where is_live;
create index orders_working_pair_idx on oms.orders (session_id, pair_id)
    where is_live and pair_id is not null;
create index orders_parent_idx on oms.orders (parent_order_id) where parent_order_id is not null;
create index orders_trigger_idx on oms.orders (trigger_order_id) where trigger_order_id is not null;
create index orders_oco_idx on oms.orders (oco_group_id) where oco_group_id is not null;
create index orders_client_ref_idx on oms.orders (account, client_ref) where client_ref is not null;
comment on column oms.orders.cl_ord_id is
    'The ClOrdID under which the venue has it: of the last action it accepted, or of the first.';
comment on column oms.orders.expire_at is 'Session time; with time_in_force gtd.';
comment on column oms.orders.peg_reference is
    'primary: the order''s own side of the market; market: the other side; midpoint.';
comment on column oms.orders.peg_offset is 'Added to the reference price, signed.';
comment on column oms.orders.display_quantity is 'What an iceberg shows at once.';
comment on column oms.orders.min_quantity is 'Least quantity of an execution on entry.';
comment on column oms.orders.reduce_only is
    'Never opens or turns a position: what exceeds the position is cancelled in the transaction that books a fill.';
comment on column oms.orders.trader is 'Who is responsible for it; free text of the submitter.';
comment on column oms.orders.client_ref is 'The submitter''s own reference; not unique.';
comment on column oms.orders.is_parent is 'Worked by child orders, never sent itself; it has no venue.';
comment on column oms.orders.trigger_order_id is 'The order whose fills release this one.';
comment on column oms.orders.oco_group_id is
    'Orders of which, together, only the ceiling may fill: what one fills the others lose.';
comment on column oms.orders.succeeds_order_id is
    'The contingent order that was over when its trigger filled more, for which this one was made.';
comment on column oms.orders.is_contingent is 'It triggers others, or belongs to those it concerns.';
comment on column oms.orders.ceiling_quantity is
    'What a contingent order may fill at most; its quantity follows its trigger and group.';
comment on column oms.orders.pending_quantity is 'The largest quantity of a replace that is not answered.';
comment on column oms.orders.chain_hash is 'Hash of its last event.';
comment on column oms.orders.is_live is 'It can still trade.';
comment on column oms.orders.awaits_venue is 'The venue owes an answer about it.';
comment on column oms.orders.leaves_quantity is 'What is not filled yet, 0 once it is over.';

-- Actions ------------------------------------------------------------------------------------------

alter table oms.requests drop constraint requests_kind_check,
    add constraint requests_kind_check check (kind in ('submit', 'cancel', 'replace', 'cancel_all', 'settle'));
alter table oms.order_actions
    drop constraint order_actions_kind_check,
    drop constraint order_actions_status_check,
    add column quantity numeric,
    add column limit_price numeric,
    add column stop_price numeric,
    add column peg_offset numeric,
    add column display_quantity numeric,
    add column expire_at timestamptz,
    add constraint order_actions_kind_check check (kind in ('new', 'replace', 'cancel')),
    add constraint order_actions_status_check check (status in ('pending', 'sent', 'accepted', 'void')),
    add constraint order_actions_replace_check check ((kind = 'replace') = (quantity is not null));
comment on column oms.order_actions.quantity is
    'Of a replace: with the prices, the terms the order has once the venue accepts it.';
comment on column oms.order_actions.status is
    'accepted: a replace the venue carried out; void: refused, or never to be sent.';

-- What a venue breaks it does not work again: the end of such an order has to be told.
alter table oms.ouch_orders add column broken boolean not null default false;
comment on column oms.ouch_orders.broken is 'One of its trades was broken.';

-- Executions ---------------------------------------------------------------------------------------

alter table oms.executions
    drop constraint executions_quantity_check,
    add column kind text not null default 'fill' check (kind in ('fill', 'bust', 'correction')),
    add column root_execution_id bigint,
    add column liquidity text,
    add constraint executions_quantity_check check (
        quantity <> 0 and quantity > '-infinity' and quantity < 'infinity' and (kind <> 'fill' or quantity > 0)),
    add constraint executions_root_check check ((kind = 'fill') = (root_execution_id is null));
create index on oms.executions (root_execution_id) where root_execution_id is not null;
create index execution_keys_exec_id_idx on oms.execution_keys (venue_id, exec_id);
comment on column oms.executions.kind is
    'A bust reverses a fill with a negative quantity; a correction does so and adds a row with the new terms. Sums need no case.';
comment on column oms.executions.root_execution_id is 'The fill that a bust or correction is about.';
comment on column oms.executions.liquidity is 'added, removed, routed or auction, as the venue says.';

-- Breaks -------------------------------------------------------------------------------------------

alter table oms.breaks
    drop constraint breaks_kind_check,
    add column source text not null default 'report',
    add column execution_id bigint,
    add column reference text not null default '',
    add column resolved_by text,
    add constraint breaks_kind_check check (kind in ('unknown_order', 'quantity', 'status', 'terms',
        'execution_content', 'missing_execution', 'extra_execution', 'unknown_execution', 'position', 'replace'));
create index breaks_open_idx on oms.breaks (kind, reference) where resolved_at is null;
comment on column oms.breaks.source is
    'Where theirs comes from: report, status, mass_status, trade_capture, drop_copy, clearing.';
comment on column oms.breaks.reference is
    'What the break is about within its kind: an ExecID, an instrument, or nothing when the order says it.';

create table oms.break_audit (
    audit_id bigint generated always as identity primary key,
    break_id bigint not null references oms.breaks,
    action text not null check (action in ('opened', 'agreed', 'keep_ours', 'take_theirs')),
    reason text not null check (reason <> ''),
    done_by text not null default session_user,
    detail jsonb not null default '{}',
    recorded_at timestamptz not null default clock_timestamp()
);
create index on oms.break_audit (break_id);
create trigger refuse_change before update or delete on oms.break_audit
    for each row execute function oms._refuse_change();
comment on table oms.break_audit is 'What became of every break, and who decided; append-only.';
comment on column oms.break_audit.action is
    'agreed: both sides say the same by now; keep_ours: the other side is wrong; take_theirs: booked or settled as they say.';

create table oms.venue_trades (
    venue_id integer not null references ref.venues,
    source text not null check (source in ('trade_capture', 'drop_copy', 'clearing')),
    trade_date date not null,
    exec_id text not null,
    root_exec_id text not null,
    kind text not null check (kind in ('trade', 'trade_cancel', 'trade_correct')),
    cl_ord_id text,
    venue_order_id text,
    symbol text not null,
    side text not null,
    quantity numeric not null,
    price numeric not null,
    transact_time timestamptz,
    first_seen timestamptz not null default clock_timestamp(),
    primary key (venue_id, source, trade_date, exec_id)
);
create index on oms.venue_trades (venue_id, source, trade_date, root_exec_id);
comment on table oms.venue_trades is
    'Executions as others have them, for comparison with oms.executions; nothing is booked from here.';
comment on column oms.venue_trades.root_exec_id is 'ExecID of the trade that a bust or correction is about.';

create table oms.venue_statements (
    venue_id integer not null references ref.venues,
    source text not null,
    trade_date date not null,
    stated_at timestamptz not null default clock_timestamp(),
    primary key (venue_id, source, trade_date)
);
comment on table oms.venue_statements is
    'Days of which a source has told everything it has: what it did not name, it does not have.';

-- The log ------------------------------------------------------------------------------------------

-- Made anew, and filled when it has its own owner: the chunks there are cannot be given to it.
drop view if exists ops.latency;
delete from ops.schema_files where path = 'ops/views/latency.sql';
create temporary table _former_events on commit drop as select * from oms.order_events;
drop table oms.order_events;
create table oms.order_events (
    recorded_at timestamptz not null default clock_timestamp(),
    event_id bigint generated always as identity,
    order_id bigint not null,
    event_no integer not null,
    kind text not null,
    from_status text,
    to_status text not null,
    as_of timestamptz not null,
    order_quantity numeric not null,
    cumulative_quantity numeric not null,
    leaves_quantity numeric not null,
    average_price numeric,
    execution_id bigint,
    message_id bigint,
    detail jsonb not null default '{}',
    prev_hash bytea not null,
    hash bytea not null,
    xact_id xid8 not null default pg_current_xact_id()
);
select public.create_hypertable('oms.order_events', public.by_range('recorded_at', interval '30 days'),
                                create_default_indexes => false);
create index on oms.order_events (order_id, event_no);
create index on oms.order_events (xact_id);
create trigger refuse_change before update or delete on oms.order_events
    for each row execute function oms._refuse_change();
comment on table oms.order_events is 'Append-only history of every order; folding it gives oms.orders.';
comment on column oms.order_events.order_quantity is 'The order''s quantity after the event.';
comment on column oms.order_events.prev_hash is 'Hash of the order''s event before, empty for the first.';
comment on column oms.order_events.hash is 'SHA-256 over prev_hash and the event: see oms._event_hash.';
comment on column oms.order_events.xact_id is 'The transaction that wrote it: what a seal has not seen yet.';

create table oms.seals (
    seal_no bigint primary key,
    sealed_at timestamptz not null,
    heads integer not null,
    last_event_id bigint not null,
    xact_horizon xid8 not null,
    digest bytea not null
);
comment on table oms.seals is
    'One row per seal of the order log; digest: SHA-256 over the previous digest and the chain heads that moved.';
create table oms.sealed_heads (
    seal_no bigint not null references oms.seals,
    order_id bigint not null,
    event_no integer not null,
    hash bytea not null,
    primary key (seal_no, order_id)
);
create index on oms.sealed_heads (order_id, event_no);
comment on table oms.sealed_heads is 'The last event of each order that had moved when a seal was made.';

-- SHA-256 over the hash before and the event, in a form that no setting of the server changes.
create function oms._event_hash(p_prev_hash bytea, p_event oms.order_events)
returns bytea
-- plpgsql, because a function in language sql is planned again at every call.
language plpgsql
immutable
as $$
begin
    return pg_catalog.sha256(p_prev_hash || pg_catalog.convert_to(pg_catalog.jsonb_build_array(
        p_event.order_id, p_event.event_no, p_event.kind, p_event.from_status, p_event.to_status,
        extract(epoch from p_event.as_of)::text, extract(epoch from p_event.recorded_at)::text,
        p_event.order_quantity::text, p_event.cumulative_quantity::text,
        p_event.leaves_quantity::text, p_event.average_price::text,
        p_event.execution_id, p_event.message_id, p_event.detail)::text, 'UTF8'));
end
$$;
comment on function oms._event_hash(bytea, oms.order_events) is 'The hash of an event in its order''s chain.';

-- Risk ---------------------------------------------------------------------------------------------

alter table risk.decisions add column action text not null default 'new'
    check (action in ('new', 'replace', 'release'));
alter type risk.order_request add attribute expire_at timestamptz;
alter type risk.order_request add attribute peg_reference text;
alter type risk.order_request add attribute peg_offset numeric;
alter type risk.order_request add attribute post_only boolean;
alter type risk.order_request add attribute display_quantity numeric;
alter type risk.order_request add attribute min_quantity numeric;
alter type risk.order_request add attribute reduce_only boolean;
alter type risk.order_request add attribute trader text;
alter type risk.order_request add attribute client_ref text;
alter type risk.order_request add attribute is_parent boolean;
alter type risk.order_request add attribute contingent_on smallint;
alter type risk.order_request add attribute oco text;
insert into risk.controls (control, unit, needs_limit, description) values
    ('reduce_only', 'units', false, 'a reduce-only order, with those that work already, is within the position and against it'),
    ('parent', 'units', false, 'the parent is live, of the same account and instrument, and has so much left');

-- Transitions --------------------------------------------------------------------------------------

insert into oms.order_transitions (from_status, to_status, why) values
    ('held', 'pending_new', 'its trigger filled'),
    ('held', 'cancelled', 'its trigger ended without a fill, its group is filled, or we cancelled it'),
    ('held', 'denied', 'refused by our controls when its trigger filled'),
    ('pending_new', 'pending_replace', 'we asked to replace before it was acknowledged'),
    ('pending_new', 'done_for_day', 'the venue took it and stopped at once'),
    ('pending_new', 'stopped', 'the venue took it with a guarantee'),
    ('pending_new', 'suspended', 'the venue took it and does not work it'),
    ('new', 'pending_replace', 'we asked to replace'),
    ('new', 'stopped', 'the venue guarantees a price'),
    ('new', 'suspended', 'the venue does not work it for now'),
    ('new', 'unknown', 'the connection ended with a message about it under way'),
    ('partially_filled', 'new', 'everything it had filled was busted'),
    ('partially_filled', 'pending_replace', 'we asked to replace the rest'),
    ('partially_filled', 'stopped', 'the venue guarantees a price for the rest'),
    ('partially_filled', 'suspended', 'the venue does not work the rest for now'),
    ('partially_filled', 'rejected', 'the venue refused the rest after accepting it'),
    ('pending_replace', 'new', 'replaced or refused, nothing is filled'),
    ('pending_replace', 'partially_filled', 'replaced or refused, something is filled'),
    ('pending_replace', 'pending_new', 'refused before the order was acknowledged'),
    ('pending_replace', 'filled', 'a fill, or a new quantity that is filled already'),
    ('pending_replace', 'pending_cancel', 'we asked to cancel while the replace was under way'),
    ('pending_replace', 'cancelled', 'the venue cancelled it, asked or not'),
    ('pending_replace', 'rejected', 'the venue refused the order itself'),
    ('pending_replace', 'expired', 'it ended before our replace'),
    ('pending_replace', 'done_for_day', 'the venue stopped working it today'),
    ('pending_replace', 'stopped', 'replaced or refused, and the venue guarantees a price'),
    ('pending_replace', 'suspended', 'replaced or refused, and not worked for now'),
    ('pending_replace', 'unknown', 'a gateway stopped while the replace may have been sent'),
    ('pending_cancel', 'pending_replace', 'the cancel was refused, a replace is still under way'),
    ('pending_cancel', 'done_for_day', 'the cancel was refused, it is not worked today'),
    ('pending_cancel', 'stopped', 'the cancel was refused, a price is guaranteed'),
    ('pending_cancel', 'suspended', 'the cancel was refused, it is not worked for now'),
    ('stopped', 'new', 'the guarantee ended, nothing is filled'),
    ('stopped', 'partially_filled', 'the guarantee ended, something is filled'),
    ('stopped', 'filled', 'filled at the guaranteed price'),
    ('stopped', 'suspended', 'the venue does not work it for now'),
    ('stopped', 'done_for_day', 'the venue stopped working it today'),
    ('stopped', 'pending_replace', 'we asked to replace'),
    ('stopped', 'pending_cancel', 'we asked to cancel'),
    ('stopped', 'cancelled', 'the venue cancelled it, asked or not'),
    ('stopped', 'rejected', 'the venue refused it after accepting it'),
    ('stopped', 'expired', 'its time in force ended'),
    ('stopped', 'unknown', 'the connection ended with a message about it under way'),
    ('suspended', 'new', 'worked again, nothing is filled'),
    ('suspended', 'partially_filled', 'worked again, something is filled'),
    ('suspended', 'filled', 'a late fill'),
    ('suspended', 'stopped', 'the venue guarantees a price'),
    ('suspended', 'done_for_day', 'the venue stopped working it today'),
    ('suspended', 'pending_replace', 'we asked to replace while it was not worked'),
    ('suspended', 'pending_cancel', 'we asked to cancel while it was not worked'),
    ('suspended', 'cancelled', 'cancelled while not worked'),
    ('suspended', 'rejected', 'the venue refused it after accepting it'),
    ('suspended', 'expired', 'ended while not worked'),
    ('suspended', 'unknown', 'the connection ended with a message about it under way'),
    ('done_for_day', 'pending_replace', 'we asked to replace while it was not worked'),
    ('done_for_day', 'stopped', 'the next day, with a guarantee'),
    ('done_for_day', 'suspended', 'the next day, not worked for now'),
    ('done_for_day', 'rejected', 'the venue did not take it the next day'),
    ('done_for_day', 'unknown', 'the connection ended with a message about it under way'),
    ('unknown', 'stopped', 'the venue answered that it has it, with a guarantee'),
    ('unknown', 'suspended', 'the venue answered that it has it and does not work it'),
    ('unknown', 'pending_replace', 'the venue has it and our replace goes again'),
    ('filled', 'new', 'its only fill was busted and the venue works it again'),
    ('filled', 'partially_filled', 'a fill was busted or made smaller and the venue works the rest again'),
    ('filled', 'cancelled', 'a fill was busted or made smaller and the order stays over'),
    ('rejected', 'filled', 'a fill of an order the venue had refused'),
    ('expired', 'filled', 'a fill that crossed the end of the order');
"""

# The log belongs to a role of its own: neither statements nor the schema's owner can change or drop
# it or a chunk of it; whoever migrates may act as that role, and has to say so.
PROTECTION = """
do $$
declare
    v_version constant integer := current_setting('server_version_num')::integer;
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'tsdb_log') then
        if not (select rolsuper or rolcreaterole from pg_catalog.pg_roles where rolname = current_user) then
            raise exception 'role tsdb_log, which owns the order log, is missing and % may not create it: run `tsdb-trader db prepare`', current_user
                using errcode = 'TT001';
        end if;
        create role tsdb_log nologin;
    end if;
    if not (select rolsuper from pg_catalog.pg_roles where rolname = current_user)
        and not pg_catalog.pg_has_role('tsdb_log', case when v_version >= 160000 then 'SET' else 'MEMBER' end) then
        execute pg_catalog.format('grant tsdb_log to %I %s', current_user,
            case when v_version >= 160000 then 'with inherit false, set true' end);
    end if;
    execute pg_catalog.format('grant create on schema oms to tsdb_log');
end
$$;
-- Every new chunk gets the trigger in its owner's name.
grant execute on function oms._refuse_change() to tsdb_log;
alter table oms.order_events owner to tsdb_log;
alter schema oms owner to tsdb_log;
"""


# Events from before get their place in a chain.
CHAIN = """
do $$
declare
    v_event oms.order_events;
    v_hash bytea := '';
begin
    for v_event in
        select f.recorded_at, f.event_id, f.order_id, f.event_no, f.kind, f.from_status, f.to_status, f.as_of,
            o.quantity, f.cumulative_quantity, f.leaves_quantity, f.average_price, f.execution_id, f.message_id,
            f.detail, null, null, pg_current_xact_id()
        from _former_events f join oms.orders o using (order_id)
        order by f.order_id, f.event_no
    loop
        v_event.prev_hash := case when v_event.event_no = 1 then '' else v_hash end;
        v_event.hash := oms._event_hash(v_event.prev_hash, v_event);
        v_hash := v_event.hash;
        insert into oms.order_events overriding system value select v_event.*;
        update oms.orders set chain_hash = v_hash where order_id = v_event.order_id;
    end loop;
end
$$;
set local role tsdb_log;
select setval(pg_get_serial_sequence('oms.order_events', 'event_id'),
    (select coalesce(max(event_id), 0) + 1 from oms.order_events), false);
reset role;
"""


def upgrade() -> None:
    connection = op.get_bind().connection.driver_connection
    connection.execute(SQL)
    owner = connection.execute("select quote_ident(current_user)").fetchone()[0]
    connection.execute(PROTECTION)
    connection.execute(
        f"set local role tsdb_log; grant usage, create on schema oms to {owner}; "
        f"grant select, insert on oms.order_events to {owner}; reset role"
    )
    connection.execute(CHAIN)
