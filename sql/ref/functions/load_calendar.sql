-- Writes an exchange's sessions from p_from to p_to, both included: those given are all there are.
--
-- p_dates and the other arrays go together; times of breaks are null where there is none. A session
-- that differs from a stored one, or is not there any more, supersedes it. Ranges of one exchange
-- must touch each other (TT001), so that a day without a row is a closed day.
-- Returns how many sessions were added, changed and withdrawn.
create or replace function ref.load_calendar(
    p_exchange text,
    p_time_zone text,
    p_library text,
    p_from date,
    p_to date,
    p_dates date[],
    p_opens timestamptz[],
    p_closes timestamptz[],
    p_break_starts timestamptz[],
    p_break_ends timestamptz[],
    p_early_closes boolean[]
)
returns table (added bigint, changed bigint, withdrawn bigint)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_known ref.calendars;
begin
    perform ops._audit('ref.load_calendar', p_exchange,
        jsonb_build_object('library', p_library, 'from', p_from, 'to', p_to));
    if p_from > p_to or exists (
        select from unnest(p_dates) d (date) where d.date not between p_from and p_to)
    then
        raise exception 'calendar %: sessions outside of % to %', p_exchange, p_from, p_to
            using errcode = 'TT001';
    end if;
    insert into ref.calendars (exchange, time_zone, first_date, last_date, library)
    values (p_exchange, p_time_zone, p_from, p_to, p_library)
    on conflict (exchange) do nothing;
    select c.* into strict v_known from ref.calendars c where c.exchange = p_exchange for update;
    if p_from > v_known.last_date + 1 or p_to < v_known.first_date - 1 then
        raise exception 'calendar % is loaded from % to %: load a range that touches it',
            p_exchange, v_known.first_date, v_known.last_date using errcode = 'TT001';
    end if;
    update ref.calendars c
    set first_date = least(c.first_date, p_from), last_date = greatest(c.last_date, p_to),
        time_zone = p_time_zone, library = p_library,
        recorded_at = clock_timestamp()
    where c.exchange = p_exchange;
    return query
    with given as (
        select d.*
        from unnest(p_dates, p_opens, p_closes, p_break_starts, p_break_ends, p_early_closes)
            d (date, opens_at, closes_at, break_starts_at, break_ends_at, early_close)
    ),
    superseded as (
        update ref.calendar_days c set superseded_at = clock_timestamp()
        where c.exchange = p_exchange and c.date between p_from and p_to
            and c.superseded_at = 'infinity'
            and not exists (
                select from given g
                where (g.date, g.opens_at, g.closes_at, g.break_starts_at, g.break_ends_at,
                       g.early_close)
                    is not distinct from
                    (c.date, c.opens_at, c.closes_at, c.break_starts_at, c.break_ends_at,
                     c.early_close))
        returning c.date
    ),
    kept as (
        select c.date from ref.calendar_days c
        where c.exchange = p_exchange and c.date between p_from and p_to
            and c.superseded_at = 'infinity'
    )
    select count(*) filter (where k.date is null), count(*) filter (where s.date is not null),
           (select count(*) from superseded w
            where not exists (select from given g where g.date = w.date))
    from given g
    left join kept k on k.date = g.date
    left join superseded s on s.date = g.date;
    -- A statement of its own, so that it sees what the one before superseded.
    insert into ref.calendar_days
        (exchange, date, opens_at, closes_at, break_starts_at, break_ends_at, early_close)
    select p_exchange, d.date, d.opens_at, d.closes_at, d.break_starts_at, d.break_ends_at,
           d.early_close
    from unnest(p_dates, p_opens, p_closes, p_break_starts, p_break_ends, p_early_closes)
        d (date, opens_at, closes_at, break_starts_at, break_ends_at, early_close)
    on conflict (exchange, date) where superseded_at = 'infinity' do nothing;
end
$$;
comment on function ref.load_calendar(
    text, text, text, date, date, date[], timestamptz[], timestamptz[], timestamptz[],
    timestamptz[], boolean[]) is
    'Writes an exchange''s sessions of a range of dates; what differs from before supersedes it.';
grant execute on function ref.load_calendar(
    text, text, text, date, date, date[], timestamptz[], timestamptz[], timestamptz[],
    timestamptz[], boolean[]) to tsdb_ops;
