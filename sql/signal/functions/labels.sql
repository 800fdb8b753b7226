-- What models learn: for each daily bar known in (p_from, p_to], as_of as in signal.daily_features, the simple
-- return over the next p_horizon bars, adjusted for corporate actions, and known_at, when the last of these
-- bars was known. Labels not known by p_to are left out, and those whose bars span more than
-- 2 p_horizon + 10 days. p_instruments null: all. Errors: TT001 a horizon not from 1 to 60, several feeds.
create or replace function signal.labels(
    p_instruments integer[],
    p_from timestamptz,
    p_to timestamptz,
    p_horizon integer
)
returns table (as_of timestamptz, instrument_id integer, label double precision, known_at timestamptz)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
as $$
#variable_conflict use_column
begin
    if (p_horizon between 1 and 60) is not true then
        raise exception 'a label is of 1 to 60 bars ahead, not of %', coalesce(p_horizon::text, 'null')
            using errcode = 'TT001';
    end if;
    return query
    select l.as_of, l.instrument_id, exp((l.later - l.price) / 1e15::float8) - 1, l.known_at
    from (
        select h.instrument_id, h.price, lead(h.price, p_horizon) over run as later,
               h.known_at as as_of, lead(h.known_at, p_horizon) over run as known_at,
               lead(h.date, p_horizon) over run - h.date as days
        from signal._daily_history(p_instruments, p_from, p_to) h
        window run as (partition by h.instrument_id, h.run order by h.date)
    ) l
    where l.as_of > p_from and l.known_at <= p_to and l.days <= 2 * p_horizon + 10;
end
$$;
comment on function signal.labels(integer[], timestamptz, timestamptz, integer) is
    'Returns over the bars that follow, with the time they were known, for training. Errors: TT001.';
grant execute on function signal.labels(integer[], timestamptz, timestamptz, integer) to tsdb_reader;
