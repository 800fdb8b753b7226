-- Features side by side: a row at every time in (p_from, p_to] at which the first of p_features became known,
-- with the value that each of them had then, in the order of p_features: its last one known, null where that
-- is older than its max_age or was null. p_instruments null: all.
-- Errors: TT001 no feature, or one twice; TT002 unknown feature; what the features' functions raise.
create or replace function signal.feature_rows(
    p_features text[],
    p_instruments integer[],
    p_from timestamptz,
    p_to timestamptz
)
returns table (as_of timestamptz, instrument_id integer, features double precision[])
language plpgsql
stable
as $$
declare
    v_source record;
    v_with text := '';
    v_joins text := '';
    v_values text[] := array_fill(null::text, array[coalesce(cardinality(p_features), 0)]);
    v_n integer;
begin
    -- The first feature's function is the clock, f1; of every other, fk, the last row known by each time
    -- of the clock is found by numbering its rows in order and carrying the number forward.
    for v_source in
        select d.function, min(d.n) as first, max(d.max_age) as max_age, array_agg(d.n) as ns,
               array_agg(d.position) as positions, array_agg(d.max_age) as max_ages,
               row_number() over (order by min(d.n)) as k
        from signal._find_features(p_features) with ordinality
            d (feature, function, position, description, lookback, max_age, registered_by, recorded_at, n)
        group by d.function order by min(d.n)
    loop
        if v_source.k = 1 then
            v_with := format(
                'with f1 as materialized (select f.* from %s($1, $2, $3) f where f.as_of > $2 and f.as_of <= $3)',
                v_source.function);
        else
            v_with := v_with || format(
                ', f%1$s as materialized (
                    select f.*, row_number() over (order by f.instrument_id, f.as_of) as n
                    from %2$s($1, $2 - %3$L::interval, $3) f where f.as_of <= $3),
                j%1$s as materialized (
                    select u.as_of, u.instrument_id, u.of_clock, max(u.n) over (
                        partition by u.instrument_id order by u.as_of, u.of_clock rows unbounded preceding) as n
                    from (
                        select f.as_of, f.instrument_id, f.n, false as of_clock from f%1$s f
                        union all
                        select c.as_of, c.instrument_id, null, true from f1 c) u)',
                v_source.k, v_source.function, v_source.max_age);
            v_joins := v_joins || format(
                ' left join j%1$s on j%1$s.of_clock and j%1$s.instrument_id = f1.instrument_id
                    and j%1$s.as_of = f1.as_of
                  left join f%1$s on f%1$s.n = j%1$s.n', v_source.k);
        end if;
        for v_n in 1 .. cardinality(v_source.ns) loop
            v_values[v_source.ns[v_n]] := case
                when v_source.k = 1 then format('f1.features[%s]', v_source.positions[v_n])
                else format('case when f%1$s.as_of > f1.as_of - %3$L::interval then f%1$s.features[%2$s] end',
                    v_source.k, v_source.positions[v_n], v_source.max_ages[v_n]) end;
        end loop;
    end loop;
    return query execute format(
        '%s select f1.as_of, f1.instrument_id, array[%s]::float8[] from f1%s order by f1.as_of, f1.instrument_id',
        v_with, array_to_string(v_values, ', '), v_joins)
    using p_instruments, p_from, p_to;
end
$$;
comment on function signal.feature_rows(text[], integer[], timestamptz, timestamptz) is
    'Features side by side, at the times at which the first of them became known. Errors: TT001, TT002.';
grant execute on function signal.feature_rows(text[], integer[], timestamptz, timestamptz)
    to tsdb_reader, tsdb_worker_signals, tsdb_worker_scheduler;
