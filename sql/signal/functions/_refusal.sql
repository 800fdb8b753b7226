-- Why a row of features cannot be scored; null when it can. p_missing: refuse, impute or route.
create or replace function signal._refusal(p_names text[], p_features double precision[], p_missing text)
returns text
language sql
immutable
parallel safe
as $$
    select case
        when p_missing = 'refuse' and array_position(p_features, null) is not null
            then p_names[array_position(p_features, null)] || ' is missing'
        when p_features && '{NaN,Infinity,-Infinity}'
            then p_names[(
                select f.n from unnest(p_features) with ordinality f (value, n)
                where f.value = any ('{NaN,Infinity,-Infinity}') order by f.n limit 1)] || ' is not a number'
        -- Single precision, which trees take, ends there.
        when greatest(abs((select max(f) from unnest(p_features) f)), abs((select min(f) from unnest(p_features) f))) > 3e38
            then 'a feature is beyond 3e38'
    end
$$;
comment on function signal._refusal(text[], double precision[], text) is 'Why a row of features cannot be scored.';
grant execute on function signal._refusal(text[], double precision[], text) to tsdb_reader, tsdb_worker_scheduler, tsdb_worker_signals;
