-- The name that is most like a given one, by the pairs of letters they share; null where none shares any.
create or replace function signal._closest(p_name text, p_names text[])
returns text
language sql
immutable
as $$
    select c.name
    from unnest(p_names) c (name)
    cross join lateral (
        select count(*) as shared from generate_series(1, length(p_name) - 1) i
        where position(substr(p_name, i, 2) in c.name) > 0) s
    where s.shared > 0
    order by 2.0 * s.shared / (length(p_name) + length(c.name)) desc, c.name
    limit 1
$$;
comment on function signal._closest(text, text[]) is 'The name that is most like a given one.';
grant execute on function signal._closest(text, text[]) to tsdb_reader, tsdb_worker_scheduler;
