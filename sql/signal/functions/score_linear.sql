-- Predictions of a linear model (signal.model_form) for rows of features, of which none may be missing that
-- the form does not fill. Sums run in the order of the features.
create or replace function signal.score_linear(p_rows double precision[], p_form signal.model_form)
returns double precision[]
language plpgsql
immutable
parallel safe
as $$
declare
    v_fills constant double precision[] := p_form.fills;
    v_centres constant double precision[] := p_form.centres;
    v_scales constant double precision[] := p_form.scales;
    v_coefficients constant double precision[] := p_form.coefficients;
    v_logistic constant boolean := p_form.link = 'logistic';
    v_found double precision[] := '{}';
    v_x double precision;
    v_sum double precision;
begin
    for v_row in 1 .. coalesce(array_length(p_rows, 1), 0) loop
        v_sum := p_form.intercept;
        for v_n in 1 .. cardinality(v_coefficients) loop
            v_x := p_rows[v_row][v_n];
            if v_x is null then
                v_x := v_fills[v_n];
            end if;
            if v_centres is not null then
                v_x := v_x - v_centres[v_n];
                -- What is less than 1e-150 changes no sum, and the server refuses a result too small for a double.
                v_x := case
                    when abs(v_x) < 1 and (abs(v_x) < 1e-150 and abs(v_scales[v_n]) > 1 or abs(v_scales[v_n]) > 1e150)
                    then 0
                    else v_x / v_scales[v_n] end;
            end if;
            v_sum := v_sum + case
                when abs(v_x) < 1 and abs(v_coefficients[v_n]) < 1
                    and least(abs(v_x), abs(v_coefficients[v_n])) < 1e-150 then 0
                else v_x * v_coefficients[v_n] end;
        end loop;
        -- The server refuses powers too large or small for a double.
        v_found := v_found || case
            when not v_logistic then v_sum
            when v_sum < -700 then 0
            when v_sum > 700 then 1
            else 1 / (1 + exp(-v_sum)) end;
    end loop;
    return v_found;
end
$$;
comment on function signal.score_linear(double precision[], signal.model_form) is
    'Predictions of a linear model for rows of features, one per row.';
grant execute on function signal.score_linear(double precision[], signal.model_form)
    to tsdb_reader, tsdb_worker_signals, tsdb_worker_scheduler;
