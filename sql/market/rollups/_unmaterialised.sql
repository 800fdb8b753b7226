-- The query behind market._<rollup>_current for buckets that are noted: what is materialised of the
-- lower levels, the highest first, and for the rest the ticks, all put together in one step. (Reading
-- the next lower level's view instead would look at each of its noted spans once for each of ours,
-- and so on down.) Of the Apache edition's engine.
create or replace function market._unmaterialised(p_rollup market.rollups)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_level market.rollups := p_rollup;
    v_spans text := format('market._noted(%L)', p_rollup.rollup);
    v_parts text[] := '{}';
    v_source text;
begin
    while v_level.level > 1 loop
        select r.* into strict v_level
        from market.rollups r where format('market.%I', '_' || r.rollup) = v_level.source;
        v_parts := v_parts || format(
            'select m.* from unnest(%s - market._noted(%L)) p (span) '
            'cross join lateral (select * from market.%I m '
            '    where m.bucket >= lower(p.span) and m.bucket < upper(p.span)) m',
            v_spans, v_level.rollup, '_' || v_level.rollup);
        v_spans := format('%s * market._noted(%L)', v_spans, v_level.rollup);
    end loop;
    v_parts := v_parts || format(
        'select t.* from unnest(%s) p (span) '
        'cross join lateral (%s where ts >= lower(p.span) and ts < upper(p.span)%s) t',
        v_spans, v_level.query, v_level.grouping);
    if p_rollup.level = 1 then
        return v_parts[1];
    end if;
    -- The query reads the lower level's view, whose place the parts take.
    v_source := format('%s_current', p_rollup.source);
    return replace(p_rollup.query, 'from ' || v_source,
                   format('from (%s) s', array_to_string(v_parts, ' union all ')))
        || p_rollup.grouping;
end
$$;
