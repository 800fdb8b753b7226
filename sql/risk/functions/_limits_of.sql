-- All limits that cover an order at a session time. p_keys: risk._scope_keys of the order. One probe of an index
-- per key, so the cost does not grow with the number of limits. Inlined into the statement that reads it, which it
-- can be only without security definer, set and strict. The keys are read in a sub-select so that
-- no plan is made for each order: a known number of keys would look cheaper than any.
create or replace function risk._limits_of(p_keys text[], p_as_of timestamptz)
returns table (control text, value numeric, period interval, scope jsonb, limit_id bigint)
language sql
stable
as $$
    select l.control, l.value, l.period, l.scope, l.limit_id
    from risk.limits l
    where l.scope_key = any ((select p_keys)::text[]) and l.superseded_at = 'infinity'
        and p_as_of >= l.valid_from and p_as_of < l.valid_to
$$;
comment on function risk._limits_of(text[], timestamptz) is 'The limits that cover an order.';
