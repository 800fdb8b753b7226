-- Every value of features that became known in (p_from, p_to], one row each. p_instruments null: all.
-- Errors: TT001 no feature, or one twice; TT002 unknown feature; what the features' functions raise.
create or replace function signal.features(
    p_features text[],
    p_instruments integer[],
    p_from timestamptz,
    p_to timestamptz
)
returns table (as_of timestamptz, instrument_id integer, feature text, value double precision)
language plpgsql
stable
as $$
declare
    v_source record;
begin
    -- A loop over the functions, of which each gives several features at once.
    for v_source in
        select d.function, array_agg(d.feature) as features, array_agg(d.position) as positions
        from signal._find_features(p_features) d
        group by d.function order by d.function
    loop
        return query execute format(
            'select f.as_of, f.instrument_id, n.feature, f.features[n.position]
             from %s($1, $2, $3) f cross join unnest($4, $5) n (feature, position)
             where f.as_of > $2 and f.as_of <= $3 and f.features[n.position] is not null',
            v_source.function)
        using p_instruments, p_from, p_to, v_source.features, v_source.positions;
    end loop;
end
$$;
comment on function signal.features(text[], integer[], timestamptz, timestamptz) is
    'Values of features that became known in a window, one row each. Errors: TT001, TT002.';
grant execute on function signal.features(text[], integer[], timestamptz, timestamptz)
    to tsdb_reader, tsdb_worker_signals, tsdb_worker_scheduler;
