"""Runs say what they read and what they left open; their rows are checked once per statement."""

from __future__ import annotations

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

SQL = """
-- A function that changes its signature.
drop function if exists backtest._data_watermark(jsonb, timestamptz, timestamptz);

alter table backtest.runs add column open_positions integer;
comment on column backtest.runs.open_positions is
    'How many instances, of a portfolio instruments, had a position at the end; equity has them at their last price.';
comment on column backtest.runs.data_watermark is
    'Which prices it read: how many, from when to when, and a digest of them all. The same data have the same one.';

alter table backtest.data_sources
    add column ordered_by text,
    add column longest interval,
    add check (num_nulls(ordered_by, longest) in (0, 2));
comment on column backtest.data_sources.ordered_by is
    'SQL expression over a row r, a time before which the row is not known; a hypertable''s time column, so that chunks are left out.';
comment on column backtest.data_sources.longest is
    'A row is known at the latest this long after ordered_by: known_at is asked for rows in between only.';
update backtest.data_sources set ordered_by = 'r.ts', longest = '40 days' where relation = 'market._source_bars';

-- A foreign key asks for every row of a run whether it exists, which took a tenth of a run's time.
create function backtest._check_run() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_missing bigint;
begin
    -- Locked as a foreign key does it.
    perform from backtest.runs r where r.run_id in (select a.run_id from added a) for key share;
    select a.run_id into v_missing from added a
    where not exists (select from backtest.runs r where r.run_id = a.run_id) limit 1;
    if found then
        raise exception 'run % does not exist: see backtest.runs', v_missing using errcode = 'foreign_key_violation';
    end if;
    return null;
end
$$;
comment on function backtest._check_run() is 'Refuses rows of a run that does not exist.';

create function backtest._delete_run_rows() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from backtest.signals s using deleted d where s.run_id = d.run_id;
    delete from backtest.orders o using deleted d where o.run_id = d.run_id;
    delete from backtest.executions x using deleted d where x.run_id = d.run_id;
    delete from backtest.equity e using deleted d where e.run_id = d.run_id;
    return null;
end
$$;
comment on function backtest._delete_run_rows() is 'Deletes what deleted runs left.';
create trigger delete_run_rows after delete on backtest.runs referencing old table as deleted
    for each statement execute function backtest._delete_run_rows();
"""

TABLE = """
alter table backtest.{table} drop constraint {table}_run_id_fkey;
create trigger check_added_run after insert on backtest.{table} referencing new table as added
    for each statement execute function backtest._check_run();
create trigger check_changed_run after update on backtest.{table} referencing new table as added
    for each statement execute function backtest._check_run();
"""


def upgrade() -> None:
    connection = op.get_bind().connection.driver_connection
    connection.execute(SQL)
    for table in ("signals", "orders", "executions", "equity"):
        connection.execute(TABLE.format(table=table))
