-- Whose events a stream of a rule is: the key's, or those of a named instrument.
create or replace function signal._rule_stream(p_program jsonb, p_stream integer)
returns text
language sql
immutable
as $$
    select case p_stream when 0 then 'p_key' else p_program->'named'->>(p_stream - 1) end
$$;
comment on function signal._rule_stream(jsonb, integer) is 'The instrument of a stream in the code of a compiled rule.';
