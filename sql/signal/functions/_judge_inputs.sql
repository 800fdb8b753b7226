-- Why a function will not do as a strategy's inputs; null if it will. See signal.register_strategy.
create or replace function signal._judge_inputs(p_inputs regprocedure)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when p.pronamespace::regnamespace::text like 'pg\_temp%' then 'a temporary function cannot be a strategy''s'
        when p.proowner <> (select n.nspowner from pg_namespace n where n.nspname = 'signal')
            then format('%s belongs to another role than the schema: deploy it as the owner', p_inputs)
        when p.provolatile = 'v' then format('%s must be stable', p_inputs)
        when not p.proretset or p.prokind <> 'f'
            or p.proallargtypes is distinct from array[
                'integer[]', 'timestamptz', 'timestamptz',
                'timestamptz', 'integer', 'double precision[]']::regtype[]::oid[]
            or p.proargmodes is distinct from array['i', 'i', 'i', 't', 't', 't']::"char"[]
            or p.proargnames[4:6] is distinct from array['as_of', 'instrument_id', 'features']
            then format('%s is no inputs(integer[], timestamptz, timestamptz) returns table (as_of timestamptz, instrument_id integer, features double precision[])', p_inputs)
    end
    from pg_proc p where p.oid = p_inputs
$$;
comment on function signal._judge_inputs(regprocedure) is
    'Why a function will not do as the inputs of a strategy; null if it will.';
