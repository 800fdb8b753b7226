-- Stores the factors of a set of history (risk.prepare_var): for each instrument its loadings on factors of
-- variance 1 that are not correlated, and the variance that is its own. Errors: TT001 arrays that do not fit
-- or hold no numbers; TT002 an unknown set.
create or replace function risk.save_factors(
    p_set_id bigint,
    p_instrument_ids integer[],
    p_loadings double precision[][],
    p_specific_variances double precision[]
) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_factors constant integer := array_length(p_loadings, 2);
    v_saved integer;
begin
    perform risk._require_numbers(p_loadings, 'p_loadings');
    perform risk._require_numbers(p_specific_variances, 'p_specific_variances');
    if not coalesce(array_ndims(p_loadings) = 2 and array_length(p_loadings, 1) = cardinality(p_instrument_ids)
        and cardinality(p_specific_variances) = cardinality(p_instrument_ids)
        and 0 <= all (p_specific_variances), false) then
        raise exception 'factors need a row of loadings and a variance per instrument' using errcode = 'TT001';
    end if;
    update risk._return_sets set factored_at = clock_timestamp() where set_id = p_set_id;
    if not found then
        raise exception 'unknown set of history %', coalesce(p_set_id::text, 'null') using errcode = 'TT002';
    end if;
    with given as (
        select p_instrument_ids[x.i] as instrument_id, p_specific_variances[x.i] as specific_variance,
            array_agg(x.loading order by x.n) as loadings
        from (
            select loading, n, ((n - 1) / v_factors + 1)::integer as i
            from unnest(p_loadings) with ordinality as u (loading, n)) x
        group by x.i)
    update risk._windows w
    set loadings = g.loadings, packed_loadings = risk._pack(array(select 1000 * l from unnest(g.loadings) l)),
        specific_variance = g.specific_variance
    from given g
    where w.set_id = p_set_id and w.instrument_id = g.instrument_id;
    get diagnostics v_saved = row_count;
    return v_saved;
end
$$;
comment on function risk.save_factors(bigint, integer[], double precision[], double precision[]) is
    'Stores the factor model of a prepared history; returns how many instruments have it. Errors: TT001, TT002.';
grant execute on function risk.save_factors(bigint, integer[], double precision[], double precision[]) to tsdb_worker_scheduler;
