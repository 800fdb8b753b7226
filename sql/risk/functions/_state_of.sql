-- The strictest trading state that covers an order (active, reducing, halted) and why: the reasons of all
-- that are so strict. p_keys: risk._scope_keys of the order. Always one row. Flat and inlined like
-- risk._limits_of. The stricter state comes first by name.
create or replace function risk._state_of(p_keys text[])
returns table (state text, reason text)
language sql
stable
as $$
    select coalesce(min(h.state), 'active'),
        coalesce(string_agg(h.reason, '; ' order by h.halt_id) filter (where h.state = 'halted'),
            string_agg(h.reason, '; ' order by h.halt_id))
    from risk.halts h
    where h.scope_key = any ((select p_keys)::text[]) and h.resumed_at is null
$$;
comment on function risk._state_of(text[]) is 'The strictest trading state that covers an order.';
