-- The qualified, quoted name of a function, whatever the search path; null for null.
create or replace function signal._function_name(p_function regprocedure)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select format('%s.%I', p.pronamespace::regnamespace, p.proname) from pg_proc p where p.oid = p_function
$$;
comment on function signal._function_name(regprocedure) is 'The qualified name of a function.';
