-- Session time of rules (microseconds since 1970) as a timestamp; exact.
create or replace function signal._rule_ts(p_t double precision)
returns timestamptz
language sql
immutable
as $$
    select timestamptz '1970-01-01 00:00:00+00' + make_interval(secs => floor(p_t / 1e6)) + make_interval(secs => (p_t - floor(p_t / 1e6) * 1e6) / 1e6)
$$;
comment on function signal._rule_ts(double precision) is 'Session time of rules as a timestamp.';
grant execute on function signal._rule_ts(double precision) to tsdb_reader;
