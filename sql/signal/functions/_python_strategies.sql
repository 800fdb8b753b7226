-- The Python strategies of a session that no error has stopped.
create or replace function signal._python_strategies(p_session_id uuid)
returns setof signal.strategies
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select s.* from signal.strategies s
    where s.python_class is not null and s.strategy_id in (
        select n.strategy_id
        from signal.session_instances si join signal.instances n on n.instance_id = si.instance_id
        where si.session_id = p_session_id)
        and not exists (
            select from signal.strategy_errors e
            where e.session_id = p_session_id and e.strategy_id = s.strategy_id and e.instance_id is null)
    order by s.strategy_id
$$;
comment on function signal._python_strategies(uuid) is 'The Python strategies of a session that no error has stopped.';
