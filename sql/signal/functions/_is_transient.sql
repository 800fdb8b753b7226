-- Whether an error is the server's rather than that of the code it ran: lost transactions, lack of
-- resources, cancellation, its own faults. Such a batch is repeated, and nobody is blamed.
create or replace function signal._is_transient(p_sql_state text)
returns boolean
language sql
immutable
as $$
    select p_sql_state ~ '^(08|25|40|53|55|57|58|F0|XX)'
$$;
comment on function signal._is_transient(text) is 'Whether an error is the server''s rather than that of the code it ran.';
