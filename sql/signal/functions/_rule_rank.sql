-- How strongly an operator of a rule's condition binds; 0 for what ends an operand.
create or replace function signal._rule_rank(p_sign text)
returns integer
language sql
immutable
as $$
    select case
        when p_sign = 'or' then 1 when p_sign = 'and' then 2 when p_sign = 'not' then 3
        when p_sign ~ '^[<>=!]' then 4 when p_sign in ('+', '-') then 5
        when p_sign in ('*', '/') then 6 when p_sign = 'minus' then 7 else 0 end
$$;
comment on function signal._rule_rank(text) is 'How strongly an operator of a rule''s condition binds.';
