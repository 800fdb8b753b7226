"""Limits and states by scope, the kill switch, authorisations, restrictions, locates, price bands."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

SQL = """
-- sql/ has the new one, with a range of session time.
drop function if exists risk.set_limit(text, jsonb, numeric, text);

alter type risk.order_request add attribute sector text;
alter type risk.order_request add attribute authorisation_id bigint;

-- Limits -------------------------------------------------------------------------------------------

alter table risk.controls
    add column is_required boolean not null default true,
    add column is_floor boolean not null default false,
    add column period interval check (period > interval '0'),
    add column is_soft boolean not null default false;
comment on column risk.controls.is_required is
    'Where it needs a limit: an order that no limit covers is denied. Otherwise it is off there.';
comment on column risk.controls.is_floor is 'The order has to reach the value; the greatest limit binds.';
comment on column risk.controls.period is 'Of a control that counts over time: the window of a limit that names none.';
comment on column risk.controls.is_soft is 'A second person may authorise an order over it: risk.authorise_order.';

-- The values of a scope in one text, so that the limits of an order are found by equality.
alter table risk.limits
    add column period interval check (period > interval '0'),
    add column scope_key text collate "C" not null generated always as (
        coalesce(scope->>'session_id', '') || chr(31) || coalesce(scope->>'account', '') || chr(31)
        || coalesce(scope->>'strategy', '') || chr(31) || coalesce(scope->>'symbol', '') || chr(31)
        || coalesce(scope->>'venue', '') || chr(31) || coalesce(scope->>'sector', '')) stored;
create index limits_scope_idx on risk.limits (scope_key) where superseded_at = 'infinity';
comment on column risk.limits.period is 'Window of a control that counts over time: the control''s, where none was named.';

create table risk._shapes (
    by_session boolean not null,
    by_account boolean not null,
    by_strategy boolean not null,
    by_symbol boolean not null,
    by_venue boolean not null,
    by_sector boolean not null,
    primary key (by_session, by_account, by_strategy, by_symbol, by_venue, by_sector)
);
comment on table risk._shapes is
    'Which keys the scopes of limits and states have: an order is looked up once for each, whatever their number.';

create function risk._complete_scoped() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into risk._shapes values (new.scope ? 'session_id', new.scope ? 'account', new.scope ? 'strategy',
        new.scope ? 'symbol', new.scope ? 'venue', new.scope ? 'sector')
    on conflict do nothing;
    if tg_table_name = 'limits' then
        new.period := coalesce(new.period, (select c.period from risk.controls c where c.control = new.control));
    end if;
    return new;
end
$$;
create trigger complete_scoped before insert on risk.limits
    for each row execute function risk._complete_scoped();

-- States -------------------------------------------------------------------------------------------

alter table risk.halts
    add column state text not null default 'halted' check (state in ('reducing', 'halted')),
    add column scope_key text collate "C" not null generated always as (
        coalesce(scope->>'session_id', '') || chr(31) || coalesce(scope->>'account', '') || chr(31)
        || coalesce(scope->>'strategy', '') || chr(31) || coalesce(scope->>'symbol', '') || chr(31)
        || coalesce(scope->>'venue', '') || chr(31) || coalesce(scope->>'sector', '')) stored;
create index halts_scope_idx on risk.halts (scope_key) where resumed_at is null;
create trigger complete_scoped before insert on risk.halts
    for each row execute function risk._complete_scoped();
comment on table risk.halts is
    'Trading states by scope that are not active, each from halted_at until resumed_at; {} is everything. The strictest that covers an order counts.';

insert into risk._shapes
select distinct s.scope ? 'session_id', s.scope ? 'account', s.scope ? 'strategy', s.scope ? 'symbol',
    s.scope ? 'venue', s.scope ? 'sector'
from (select scope from risk.limits union all select scope from risk.halts) s;
-- Never analysed, it would be taken for thousands of rows.
analyze risk._shapes;
"""


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL)
