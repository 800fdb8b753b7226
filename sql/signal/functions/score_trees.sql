-- Predictions of a tree, forest or boosted trees (signal.model_form) for rows of features. As in scikit-learn,
-- features are compared in single precision, or as they are where the form says in_double, with thresholds in
-- double precision; a feature that is missing and that the form does not fill goes where missing_lefts says;
-- and leaves are summed in the order of the trees, so that every row takes the same leaves. Many rows
-- at once cost least: the form is unpacked once per call.
create or replace function signal.score_trees(p_rows double precision[], p_form signal.model_form)
returns double precision[]
language plpgsql
immutable
parallel safe
as $$
declare
    c_2_600 constant double precision := power(2::double precision, 600);
    c_2_minus_475 constant double precision := power(2::double precision, -475);
    v_fills constant double precision[] := p_form.fills;
    v_centres constant double precision[] := p_form.centres;
    v_scales constant double precision[] := p_form.scales;
    v_roots constant integer[] := p_form.roots;
    v_features constant integer[] := p_form.split_features;
    v_thresholds constant double precision[] := p_form.thresholds;
    v_lefts constant integer[] := p_form.lefts;
    v_rights constant integer[] := p_form.rights;
    v_missing_lefts constant boolean[] := p_form.missing_lefts;
    v_in_double constant boolean := coalesce(p_form.in_double, false);
    v_leaf_values constant double precision[] := p_form.leaf_values;
    v_divisor constant double precision := p_form.divisor;
    v_logistic constant boolean := p_form.link = 'logistic';
    v_found double precision[] := '{}';
    v_row double precision[];
    v_x double precision;
    v_node integer;
    v_sum double precision;
begin
    foreach v_row slice 1 in array coalesce(p_rows, '{}') loop
        for v_n in 1 .. cardinality(v_row) loop
            v_x := v_row[v_n];
            if v_x is null then
                v_x := v_fills[v_n];
            end if;
            if v_centres is not null then
                v_x := v_x - v_centres[v_n];
                -- A quotient of 2^-1075 and less is 0, which the server refuses; by powers of two, so exactly.
                v_x := case
                    when abs(v_x) >= 1 or abs(v_scales[v_n]) < 1 then v_x / v_scales[v_n]
                    when abs(v_x) * c_2_600 <= abs(v_scales[v_n]) * c_2_minus_475 then 0
                    else v_x / v_scales[v_n] end;
            end if;
            -- 2^-150 and less is 0 in single precision, which the server refuses.
            v_row[v_n] := case when v_in_double then v_x when abs(v_x) <= 7.006492321624085e-46 then 0 else v_x::real end;
        end loop;
        v_sum := p_form.base;
        foreach v_node in array v_roots loop
            while v_features[v_node] > 0 loop
                if coalesce(v_row[v_features[v_node]] <= v_thresholds[v_node], v_missing_lefts[v_node]) then
                    v_node := v_lefts[v_node];
                else
                    v_node := v_rights[v_node];
                end if;
            end loop;
            v_sum := v_sum + v_leaf_values[v_node];
        end loop;
        v_sum := v_sum / v_divisor;
        v_found := v_found || case
            when not v_logistic then v_sum
            when v_sum < -700 then 0
            when v_sum > 700 then 1
            else 1 / (1 + exp(-v_sum)) end;
    end loop;
    return v_found;
end
$$;
comment on function signal.score_trees(double precision[], signal.model_form) is
    'Predictions of trees for rows of features, one per row.';
grant execute on function signal.score_trees(double precision[], signal.model_form)
    to tsdb_reader, tsdb_worker_signals, tsdb_worker_scheduler;
