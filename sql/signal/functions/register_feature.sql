-- Registers a feature: element p_position of the rows of a function (p_instruments integer[],
-- p_from timestamptz, p_to timestamptz) returns table (as_of timestamptz, instrument_id integer,
-- features double precision[]), stable, that gives what became known in (p_from, p_to], one row per
-- instrument and time. p_lookback: how far back what a value is made of can lie; p_max_age: how long a value
-- may be used. The function runs with the rights of whoever asks for the feature, and of the scheduler.
-- A feature stays what it is: registering it again as the same changes nothing.
-- Errors: TT001 a function that cannot be used, a feature that is registered as something else.
create or replace function signal.register_feature(
    p_feature text,
    p_function regprocedure,
    p_position integer,
    p_description text,
    p_lookback interval,
    p_max_age interval default '5 days'
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_name text;
    v_wrong text;
begin
    perform ops._audit('signal.register_feature', p_feature, jsonb_build_object(
        'function', p_function::text, 'position', p_position));
    select n.nspname || '.' || p.proname,
        case
            when oidvectortypes(p.proargtypes) <> 'integer[], timestamp with time zone, timestamp with time zone'
                then 'must take (integer[], timestamptz, timestamptz)'
            when p.proallargtypes::regtype[] is distinct from
                '{integer[],timestamptz,timestamptz,timestamptz,integer,double precision[]}'::regtype[]
                or p.proargnames[4:6] is distinct from array['as_of', 'instrument_id', 'features']
                then 'must return table (as_of timestamptz, instrument_id integer, features double precision[])'
            when p.provolatile = 'v' then 'must be stable: it may not change anything'
            when n.nspname <> quote_ident(n.nspname) or p.proname <> quote_ident(p.proname)
                then 'must have a name that needs no quotes'
        end
    into v_name, v_wrong
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.oid = p_function;
    if v_wrong is not null or v_name is null then
        raise exception 'function % %', coalesce(v_name, 'null'), coalesce(v_wrong, 'does not exist')
            using errcode = 'TT001';
    elsif (p_feature ~ '^[a-z][a-z0-9_]{0,62}$' and p_position > 0 and p_description <> ''
        and p_lookback >= '0' and p_max_age > '0') is not true
    then
        raise exception 'a feature needs a name of small letters, digits and _, a position from 1, a description, a lookback and a max_age'
            using errcode = 'TT001';
    end if;
    if exists (
        select from signal.feature_definitions d
        where (d.feature = p_feature or (d.function = v_name and d.position = p_position))
            and not (d.feature = p_feature and d.function = v_name and d.position = p_position))
    then
        raise exception 'feature "%", or element % of %, is registered as another: choose another name', p_feature,
            p_position, v_name using errcode = 'TT001';
    end if;
    insert into signal.feature_definitions (feature, function, position, description, lookback, max_age)
    values (p_feature, v_name, p_position, p_description, p_lookback, p_max_age)
    on conflict (feature) do nothing;
end
$$;
comment on function signal.register_feature(text, regprocedure, integer, text, interval, interval) is
    'Registers a feature: an element of the rows of a function. Errors: TT001.';
grant execute on function signal.register_feature(text, regprocedure, integer, text, interval, interval) to tsdb_ops;
