-- What is wrong with what a step returned; null if nothing is. p_state null: it returned null.
create or replace function signal._judge_event(
    p_state jsonb,
    p_event text,
    p_quantities bigint[],
    p_legs integer
)
returns text
language sql
immutable
as $$
    select case
        when p_state is null then 'the step returned null'
        when p_event is null then null
        when p_event !~ '^[a-z][a-z0-9_]{0,31}$' or p_event = 'rebalance'
            then 'the event "' || p_event || '" is no name for one'
        when cardinality(p_quantities) is distinct from p_legs or array_position(p_quantities, null) is not null
            then 'a signal needs a quantity for each of ' || p_legs || ' legs'
    end
$$;
comment on function signal._judge_event(jsonb, text, bigint[], integer) is
    'What is wrong with what a step returned; null if nothing is.';
