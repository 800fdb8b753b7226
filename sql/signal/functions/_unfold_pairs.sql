-- Writes signal._fold_pairs from the installed signal.step_pairs: the text of the step in a loop over arrays.
-- Blocks labelled like the step's records, with a variable per field, take their place, so that v.mean is a
-- variable and not a field of a record that every step takes apart and puts together: half the CPU time. The
-- step stays the one definition: its file calls this, and what is written carries the hash of its source.
create or replace function signal._unfold_pairs()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $body$
declare
    v_source constant text := (select p.prosrc from pg_proc p where p.oid = 'signal.step_pairs'::regproc);
    v_step constant text := replace(replace(replace(v_source,
        'v signal.pairs_state := p_state;', ''), 'p_state.', 'v.'), 'return v;', 'exit step;');
    v_fields constant text := $$
        select string_agg(format(%L, a.attname, format_type(a.atttypid, a.atttypmod)), %L order by a.attnum)
        from pg_attribute a where a.attrelid = %L::regclass and a.attnum > 0 and not a.attisdropped $$;
    v_state text;
    v_values text;
    v_input text;
    v_parameters text;
begin
    execute format(v_fields, '%1$I %2$s;', ' ', 'signal.pairs_state') into v_state;
    execute format(v_fields, 'v.%1$I', ', ', 'signal.pairs_state') into v_values;
    execute format(v_fields, '%1$I %2$s;', ' ', 'signal.pairs_input') into v_input;
    execute format(v_fields, '%1$I %2$s := p_values.%1$I;', ' ', 'signal.pairs_parameters') into v_parameters;
    execute format($create$
        create or replace function signal._fold_pairs(
            p_as_of timestamptz[], p_mids_a double precision[], p_mids_b double precision[],
            p_values signal.pairs_parameters, p_all boolean
        )
        returns table (moment integer, state signal.pairs_state)
        language plpgsql
        immutable
        rows 50
        set search_path = pg_catalog, pg_temp
        as $fold$
        -- signal.step_pairs %6$s
        <<v>> declare %1$s begin
        <<p_input>> declare %2$s begin
        <<p_parameters>> declare %3$s begin
            for n in 1..cardinality(p_as_of) loop
                p_input.as_of := p_as_of[n];
                p_input.mid_a := nullif(p_mids_a[n], 'NaN');
                p_input.mid_b := nullif(p_mids_b[n], 'NaN');
                <<step>> %4$s;
                if v.event is not null or p_all then
                    continue when p_input.mid_a is null and p_input.mid_b is null;
                    moment := n;
                    state := row(%5$s);
                    return next;
                end if;
            end loop;
        end; end; end $fold$ $create$,
        v_state, v_input, v_parameters, v_step, v_values, md5(v_source));
end
$body$;
comment on function signal._unfold_pairs() is 'Writes signal._fold_pairs from signal.step_pairs.';
