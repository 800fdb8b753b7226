-- Has a rule evaluated no more, from the next batch of every session on. Returns whether it was enabled.
-- Errors: TT002 unknown rule.
create or replace function signal.disable_rule(p_rule text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_changed boolean;
begin
    perform ops._audit('signal.disable_rule', p_rule);
    perform signal._check_word('rule', p_rule, array(select distinct r.rule from signal.rules r order by 1));
    update signal.rules r set enabled = false
    where r.rule = p_rule and r.superseded_at = 'infinity' and r.enabled;
    v_changed := found;
    return v_changed;
end
$$;
comment on function signal.disable_rule(text) is
    'Has a rule evaluated no more, from the next batch on; returns whether it was enabled.';
grant execute on function signal.disable_rule(text) to tsdb_ops;
