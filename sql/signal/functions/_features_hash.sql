-- Hash of the source of the functions that features come from. What these functions call is not in it.
create or replace function signal._features_hash(p_features text[])
returns text
language sql
stable
as $$
    select md5(string_agg(d.function || ' ' || p.prosrc, ' ' order by d.function))
    from (select distinct f.function from signal._find_features(p_features) f) d
    join pg_proc p on p.oid = to_regproc(d.function)
$$;
comment on function signal._features_hash(text[]) is 'Hash of the source of features'' functions.';
grant execute on function signal._features_hash(text[]) to tsdb_reader, tsdb_worker_scheduler;
