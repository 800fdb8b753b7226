-- What the risk monitor would see now: one row per account (strategy null) or strategy and limited measure.
-- level: unknown, soft, hard, or null when it is within its limits; at the limit is within. reason:
-- why a measure is not known. Writes nothing.
create or replace function risk.measure_session(p_session_id uuid, p_as_of timestamptz)
returns table (account text, strategy text, measure text, value numeric, soft numeric, hard numeric, level text, reason text)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select f.account, f.strategy, j.measure, j.value, j.soft, j.hard,
        case when j.value is null then 'unknown' when j.value > j.hard then 'hard'
             when j.value > j.soft then 'soft' end,
        j.problem
    from risk._figures(p_session_id, p_as_of) f
    cross join lateral risk._judge(f, p_as_of) j
    order by f.account, f.strategy nulls first, j.measure
$$;
comment on function risk.measure_session(uuid, timestamptz) is
    'Every measure after the trade that has a limit, per account (strategy null) and strategy of a session, as it is now; level unknown (with the reason), soft, hard or null.';
grant execute on function risk.measure_session(uuid, timestamptz)
    to tsdb_reader;
