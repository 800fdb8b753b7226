-- The definitions of features, in the order given. Errors: TT001 none, or one twice; TT002 unknown feature.
create or replace function signal._find_features(p_features text[])
returns setof signal.feature_definitions
language plpgsql
stable
as $$
declare
    v_unknown text;
begin
    if coalesce(cardinality(p_features), 0) = 0 or array_position(p_features, null) is not null
        or (select count(distinct f) from unnest(p_features) f) < cardinality(p_features)
    then
        raise exception 'name one feature or more, each once: see signal.feature_definitions' using errcode = 'TT001';
    end if;
    select f.feature into v_unknown
    from unnest(p_features) with ordinality f (feature, n)
    where not exists (select from signal.feature_definitions d where d.feature = f.feature)
    order by f.n limit 1;
    if v_unknown is not null then
        raise exception 'unknown feature "%"%: see signal.feature_definitions', v_unknown,
            ref._did_you_mean(v_unknown, array(select d.feature from signal.feature_definitions d))
            using errcode = 'TT002';
    end if;
    return query
    select d.* from unnest(p_features) with ordinality f (feature, n)
    join signal.feature_definitions d using (feature)
    order by f.n;
end
$$;
comment on function signal._find_features(text[]) is 'The definitions of features, in the order given.';
grant execute on function signal._find_features(text[]) to tsdb_reader, tsdb_worker_scheduler, tsdb_worker_signals;
