-- The scope of an account or strategy: which limits it matches, and whose trading state it sets.
create or replace function risk._monitor_scope(p_figures risk.figures)
returns jsonb
language plpgsql
immutable
as $$
begin
    return jsonb_strip_nulls(jsonb_build_object('session_id', p_figures.session_id,
        'account', p_figures.account, 'strategy', p_figures.strategy));
end
$$;
comment on function risk._monitor_scope(risk.figures) is 'The scope of an account or strategy.';
