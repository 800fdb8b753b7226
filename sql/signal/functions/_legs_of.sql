-- The instruments of a strategy's instances in a session, in order.
create or replace function signal._legs_of(p_session_id uuid, p_strategy_id integer)
returns integer[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select array(
        select distinct u.instrument_id
        from signal.session_instances si
        join signal.instances n on n.instance_id = si.instance_id
        cross join lateral unnest(n.instruments) u (instrument_id)
        where si.session_id = p_session_id and n.strategy_id = p_strategy_id
        order by 1)
$$;
comment on function signal._legs_of(uuid, integer) is 'The instruments of a strategy''s instances in a session.';
