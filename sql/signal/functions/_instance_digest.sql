-- Hash of everything that decides what an instance does: legs and parameters. The parameters are jsonb
-- as it is stored, which no display setting changes.
create or replace function signal._instance_digest(p_instance signal.instances)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select md5(format('%s %s %s', p_instance.strategy_id, p_instance.instruments, p_instance.parameters))
$$;
comment on function signal._instance_digest(signal.instances) is 'Hash of an instance''s legs and parameters.';
