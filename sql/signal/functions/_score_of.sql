-- The text of the score of a strategy's state (an expression of its type); null for types without one.
create or replace function signal._score_of(p_strategy signal.strategies, p_state text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select case when exists (
            select from pg_attribute a join pg_type t on t.typrelid = a.attrelid
            where t.oid = p_strategy.state_type::regtype and a.attname = 'score' and not a.attisdropped)
        then format('(%s).score', p_state) else 'null::float8' end
$$;
comment on function signal._score_of(signal.strategies, text) is 'The text of the score of a strategy''s state.';
