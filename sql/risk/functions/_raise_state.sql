-- Raises the trading state of exactly a scope, unless it is as strict already. Lowering is for a person.
create or replace function risk._raise_state(p_scope jsonb, p_state text, p_reason text)
returns void
language plpgsql
as $$
begin
    if not exists (
        select from risk.halts h
        where h.scope = p_scope and h.resumed_at is null and h.state in ('halted', p_state)) then
        perform risk.set_state(p_scope, p_state, p_reason);
    end if;
end
$$;
comment on function risk._raise_state(jsonb, text, text) is 'Raises the trading state of a scope.';
