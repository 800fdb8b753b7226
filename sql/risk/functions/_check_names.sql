-- Refuses a scope that names what does not exist: a kill switch that misspells an account stops nothing.
-- Errors: TT002.
create or replace function risk._check_names(p_scope jsonb)
returns void
language plpgsql
stable
as $$
declare
    v_unknown text;
begin
    select n.key into v_unknown
    from jsonb_each_text(p_scope) n
    where not case n.key
        when 'session_id' then exists (select from ops.sessions s where s.session_id::text = n.value)
        when 'account' then exists (select from ref.accounts a where a.account = n.value)
        when 'strategy' then exists (select from signal.strategies s where s.strategy = n.value)
        when 'symbol' then exists (select from ref.instruments i where i.symbol = n.value)
        when 'venue' then exists (select from ref.venues v where v.venue = n.value)
        else exists (select from ref.instruments i where i.sector = n.value) end
    limit 1;
    if v_unknown is not null then
        raise exception '% "%" does not exist', v_unknown, p_scope->>v_unknown using errcode = 'TT002';
    end if;
end
$$;
comment on function risk._check_names(jsonb) is 'Refuses scopes that name what does not exist.';
