-- Refuses a scope that names what does not exist: a kill switch that misspells an account stops nothing.
-- Errors: TT002, with a hint of what there is.
create or replace function risk._check_names(p_scope jsonb)
returns void
language plpgsql
stable
as $$
declare
    v_unknown text;
    v_known text;
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
        select string_agg(k.name, ', ' order by k.name) into v_known
        from (
            (select a.account as name from ref.accounts a where v_unknown = 'account' order by 1 limit 5)
            union all
            (select s.strategy from signal.strategies s where v_unknown = 'strategy' order by 1 limit 5)
            union all
            (select i.symbol from ref.instruments i where v_unknown = 'symbol' order by 1 limit 5)
            union all
            (select v.venue from ref.venues v where v_unknown = 'venue' order by 1 limit 5)
            union all
            (select distinct i.sector from ref.instruments i
             where v_unknown = 'sector' and i.sector is not null order by 1 limit 5)) k;
        raise exception '% "%" does not exist', v_unknown, p_scope->>v_unknown
            using errcode = 'TT002', hint = coalesce('there are ' || v_known || ' and maybe more',
                case v_unknown when 'session_id' then 'see ops.sessions' else 'there is none' end);
    end if;
end
$$;
comment on function risk._check_names(jsonb) is 'Refuses scopes that name what does not exist.';
