"""Roles by what they do, what each may read and write, and the record of what people did."""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# Roles belong to the cluster: the private server and `tsdb-trader db prepare` make them with their
# logins; here a server gets those that it lacks without one, if whoever migrates may do that.
ROLES = """
do $$
declare
    v_allowed constant boolean := (
        select rolsuper or rolcreaterole from pg_catalog.pg_roles where rolname = current_user);
    v_workers constant text[] := array['tsdb_worker_gateway', 'tsdb_worker_feeds', 'tsdb_worker_replay',
        'tsdb_worker_signals', 'tsdb_worker_risk', 'tsdb_worker_scheduler'];
    v_people constant text[] := array['tsdb_trader_role', 'tsdb_risk', 'tsdb_ops'];
    v_role text;
    v_member record;
begin
    foreach v_role in array array['tsdb_reader', 'tsdb_worker_any'] || v_workers || v_people loop
        if not exists (select from pg_catalog.pg_roles where rolname = v_role) then
            if not v_allowed then
                raise exception 'role % is missing and % may not create it: run `tsdb-trader db prepare`', v_role, current_user
                    using errcode = 'TT001';
            end if;
            execute pg_catalog.format('create role %I nologin', v_role);
        end if;
    end loop;
    for v_member in
        select 'tsdb_worker_any' as of_role, w as role from pg_catalog.unnest(v_workers) w
        union all
        select w, 'tsdb_worker' from pg_catalog.unnest(v_workers) w
        union all
        select 'tsdb_reader', r from pg_catalog.unnest(v_people || array['tsdb_quant', 'tsdb_readonly']) r
        union all
        select p, 'tsdb_operator' from pg_catalog.unnest(v_people) p
    loop
        continue when pg_catalog.pg_has_role(v_member.role, v_member.of_role, 'usage');
        if not v_allowed then
            raise exception 'role % is no member of % and % may not make it one: run `tsdb-trader db prepare`',
                v_member.role, v_member.of_role, current_user
                using errcode = 'TT001';
        end if;
        execute pg_catalog.format('grant %I to %I', v_member.of_role, v_member.role);
    end loop;
end
$$;
"""

# Functions are granted anew by their files, which all name other roles than before.
RIGHTS = """
revoke all on all tables in schema ref, market, signal, oms, risk, portfolio, tca, backtest, ops, venue
    from tsdb_worker, tsdb_quant, tsdb_readonly, tsdb_operator;
revoke all on all sequences in schema ref, market, signal, portfolio, ops from tsdb_worker;
revoke all on all routines in schema ref, market, signal, oms, risk, portfolio, tca, backtest, ops, venue
    from tsdb_worker, tsdb_quant, tsdb_readonly, tsdb_operator;
alter default privileges in schema ref, market, signal, oms, risk, portfolio, tca, backtest, ops, venue
    revoke all on tables from tsdb_worker, tsdb_quant, tsdb_readonly, tsdb_operator;
alter default privileges in schema market, ops, signal, portfolio revoke all on sequences from tsdb_worker;
revoke usage on schema ref, market, signal, risk, portfolio, tca, backtest, ops, venue
    from tsdb_worker, tsdb_quant, tsdb_readonly, tsdb_operator;

-- Who reads, reads everything.
grant usage on schema ref, market, signal, risk, portfolio, tca, backtest, ops, venue to tsdb_reader;
grant select on all tables in schema ref, market, signal, oms, risk, portfolio, tca, backtest, ops, venue
    to tsdb_reader;
alter default privileges in schema ref, market, signal, oms, risk, portfolio, tca, backtest, ops, venue
    grant select on tables to tsdb_reader;

-- But not with what a participant proves who it is.
revoke all on venue._participants from tsdb_reader;
grant select (venue, participant, username, drop_copy, cancel_on_disconnect) on venue._participants
    to tsdb_reader;

grant insert, update, delete on all tables in schema backtest to tsdb_quant;
alter default privileges in schema backtest grant insert, update, delete on tables to tsdb_quant;
grant insert, update on ref.trade_conditions, ref.condition_vocabularies to tsdb_ops;

-- A worker reads what it asks for by itself; the rest its functions do.
grant usage on schema ops, risk to tsdb_worker_any;
grant select on ops.leases, ops.heartbeats to tsdb_worker_any;

grant usage on schema ref to tsdb_worker_gateway;
grant select on oms.fix_sessions, oms.ouch_orders, ops.installation, ref.venues to tsdb_worker_gateway;

grant usage on schema market, ref to tsdb_worker_feeds;
grant select on ops.feeds, ops.sessions, market.sources, market.batches, market.news, market.news_scores,
    market.quality_rules, market.quality_thresholds to tsdb_worker_feeds;
grant insert on market._quotes, market._trades, market._book_events, market._source_bars, market.statuses,
    market.news, market.alt_series, market.quarantine to tsdb_worker_feeds;
grant update (sequence) on market.sources to tsdb_worker_feeds;

grant usage on schema market to tsdb_worker_replay;
grant select on ops.sessions, ops.feeds, market.batches to tsdb_worker_replay;

grant usage on schema signal to tsdb_worker_signals;
grant select on ops.sessions to tsdb_worker_signals;

grant usage on schema market, portfolio to tsdb_worker_risk;
grant select on ops.sessions, ops.feeds, market.batches to tsdb_worker_risk;

grant usage on schema market, ref, portfolio to tsdb_worker_scheduler;
grant select on ops.installation, oms.seals, oms.venue_trades, ref.venues, market.sources,
    market.book_snapshots, market.rollups, market.retention, ops.sessions, market._source_bars,
    risk._return_sets, risk._windows, risk.var_settings to tsdb_worker_scheduler;
"""

# The schema and the order log in it are the log owner's.
LOG_RIGHTS = """
set local role tsdb_log;
revoke usage on schema oms from tsdb_worker, tsdb_quant, tsdb_readonly, tsdb_operator;
grant usage on schema oms
    to tsdb_reader, tsdb_worker_gateway, tsdb_worker_signals, tsdb_worker_risk, tsdb_worker_scheduler;
revoke all on oms.order_events from tsdb_worker, tsdb_quant, tsdb_readonly, tsdb_operator;
grant select on oms.order_events to tsdb_reader;
reset role;
"""

AUDIT = """
create table ops.audit (
    audit_id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    login text not null,
    role text not null,
    application text not null,
    client inet,
    action text not null,
    object text,
    arguments jsonb not null,
    reason text
);
create index on ops.audit (at);
create trigger refuse_change before update or delete on ops.audit
    for each row execute function oms._refuse_change();
create trigger refuse_truncate before truncate on ops.audit
    for each statement execute function oms._refuse_change();
comment on table ops.audit is
    'What people did: one row per call of a function that changes something. Append-only.';
comment on column ops.audit.login is 'Who logged in (session_user); SET ROLE does not change it.';
comment on column ops.audit.role is 'The role that was acted as: the login, unless SET ROLE chose another.';
comment on column ops.audit.client is 'Network address of the client; null through the local socket.';
comment on column ops.audit.action is 'The function that was called.';
comment on column ops.audit.object is 'What it was about: an order, a scope, a feed, a FIX session.';
comment on column ops.audit.arguments is 'The call''s arguments; values under names that sound secret are ***.';
revoke all on ops.audit from tsdb_venue;
"""

# As with the order log: the owner of tables and functions adds rows and can do no more, and drops
# nothing in a schema that is another's.
PROTECTION = """
grant create on schema ops to tsdb_log;
alter table ops.audit owner to tsdb_log;
alter schema ops owner to tsdb_log;
"""


def upgrade() -> None:
    connection = op.get_bind().connection.driver_connection
    for text in (ROLES, RIGHTS, LOG_RIGHTS, AUDIT, PROTECTION):
        connection.execute(text)
    owner = connection.execute("select quote_ident(current_user)").fetchone()[0]
    connection.execute(
        f"set local role tsdb_log; revoke all on ops.audit from {owner}; "
        f"grant usage, create on schema ops to {owner}; "
        f"grant select, insert on ops.audit to {owner}; reset role"
    )
