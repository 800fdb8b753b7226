-- Why a function will not do as a step function; null if it will. See signal.register_strategy.
create or replace function signal._judge_step(p_step regprocedure)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with step as (
        select p.*, p.pronamespace::regnamespace::text as namespace,
               (select t.typtype from pg_type t where t.oid = p.prorettype) as state_kind,
               (select coalesce(nullif(t.typbasetype, 0), t.oid) from pg_type t
                where t.oid = p.proargtypes[2]) as parameters_base
        from pg_proc p where p.oid = p_step
    )
    select case
        when count(*) = 0 then 'a strategy needs a step function'
        when bool_or(s.namespace like 'pg\_temp%') then 'a temporary function cannot be a strategy'
        when bool_or(s.proowner <> (select n.nspowner from pg_namespace n where n.nspname = 'signal'))
            then format('%s belongs to another role than the schema: deploy it as the owner', p_step)
        when bool_or(s.prokind <> 'f' or s.proretset or s.pronargs <> 3
                or s.proargtypes[1] <> 'signal.step_input'::regtype or s.proargtypes[0] <> s.prorettype
                or s.state_kind <> 'c')
            then format('%s is no step(S, signal.step_input, P) returns S', p_step)
        when bool_or((select t.typtype <> 'c' from pg_type t where t.oid = s.parameters_base))
            then 'the parameters must be of a composite type, or a domain over one'
        when bool_or(s.provolatile <> 'i') then format('%s must be immutable', p_step)
        when bool_or(s.proisstrict) then format('%s must not be strict: the first state is null', p_step)
        when bool_or((
            select count(*) filter (where (a.attname, a.atttypid)
                       in (('event', 'text'::regtype), ('quantities', 'bigint[]'::regtype))) < 2
                   or bool_or(a.attname = 'score' and a.atttypid <> 'double precision'::regtype)
            from pg_attribute a join pg_type t on t.typrelid = a.attrelid
            where t.oid = s.prorettype and not a.attisdropped))
            then 'the state needs event text and quantities bigint[]; a score is double precision'
    end
    from step s
$$;
comment on function signal._judge_step(regprocedure) is 'Why a function will not do as a step; null if it will.';
