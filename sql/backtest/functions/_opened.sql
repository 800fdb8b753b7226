-- When the bars of a run opened, per time; null for quotes, which have no bars.
create or replace function backtest._opened(p_run jsonb, p_times timestamptz[])
returns timestamptz[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select case p_run->>'source'
        when 'daily' then array(
            select h.opens_at
            from unnest(p_times) with ordinality t (as_of, n)
            cross join lateral backtest._day_hours((t.as_of at time zone 'America/New_York')::date) h
            order by t.n)
        when 'bars' then array(
            select t.as_of - (p_run->>'grid')::interval from unnest(p_times) with ordinality t (as_of, n) order by t.n)
    end
$$;
comment on function backtest._opened(jsonb, timestamptz[]) is 'When the bars of a run opened.';
