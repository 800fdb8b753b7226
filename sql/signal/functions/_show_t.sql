-- Session time of rules as text in UTC, whatever the settings of who asks.
create or replace function signal._show_t(p_t double precision)
returns text
language sql
immutable
as $$
    select to_char(signal._rule_ts(p_t) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;
comment on function signal._show_t(double precision) is 'Session time of rules as text in UTC.';
