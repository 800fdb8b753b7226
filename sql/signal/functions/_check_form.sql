-- Refuses a form (signal.model_form) that rows of p_width features cannot be scored by: arrays that do not fit, what is
-- not finite, and trees whose nodes lead back, which would be walked for ever. Errors: TT001.
create or replace function signal._check_form(p_form signal.model_form, p_scoring text, p_width integer)
returns void
language plpgsql
immutable
as $$
declare
    v_nodes constant integer := coalesce(cardinality(p_form.split_features), 0);
    v_wrong text;
begin
    v_wrong := case
        when (p_form.link in ('identity', 'logistic')) is not true then 'link is identity or logistic'
        when cardinality(p_form.fills) <> p_width or (p_form.centres is null) <> (p_form.scales is null)
            or cardinality(p_form.centres) <> p_width or cardinality(p_form.scales) <> p_width
            then format('fills, centres and scales have one element for each of %s features', p_width)
        when 0 = any (p_form.scales) then 'no scale is zero'
        when p_scoring = 'linear' and (cardinality(p_form.coefficients) = p_width and p_form.intercept is not null) is not true
            then format('a linear model has an intercept and a coefficient for each of %s features', p_width)
        when p_scoring = 'trees' and (cardinality(p_form.roots) > 0 and p_form.base is not null and p_form.divisor <> 0
            and v_nodes <= 500000) is not true
            then 'trees have roots, a base, a divisor that is not zero, and not more than 500000 nodes'
        when p_scoring = 'trees' and array[coalesce(cardinality(p_form.thresholds), 0), coalesce(cardinality(p_form.lefts), 0),
            coalesce(cardinality(p_form.rights), 0), coalesce(cardinality(p_form.leaf_values), 0),
            coalesce(cardinality(p_form.missing_lefts), v_nodes)] <> array_fill(v_nodes, array[5])
            then format('thresholds, lefts, rights, leaf_values and missing_lefts have one element for each of %s nodes', v_nodes)
        -- A child stands behind its parent, so that every walk ends.
        when p_scoring = 'trees' and (
            exists (select from unnest(p_form.roots) r where (r between 1 and v_nodes) is not true)
            or exists (
                select from unnest(p_form.split_features, p_form.lefts, p_form.rights)
                    with ordinality t (feature, to_left, to_right, n)
                where (t.feature between 0 and p_width) is not true
                    or (t.feature > 0 and (least(t.to_left, t.to_right) > t.n and greatest(t.to_left, t.to_right) <= v_nodes
                        and num_nulls(t.to_left, t.to_right) = 0) is not true)))
            then 'trees are walked from a root to nodes behind it, by features there are'
        when exists (
            select from unnest(p_form.fills || p_form.centres || p_form.scales || p_form.coefficients || p_form.thresholds
                || p_form.leaf_values || array[coalesce(p_form.intercept, 0), coalesce(p_form.base, 0), coalesce(p_form.divisor, 1)]) x
            where (abs(x) < 'Infinity') is not true)
            then 'every number is finite'
    end;
    if v_wrong is not null then
        raise exception 'a form that cannot be scored by: %', v_wrong using errcode = 'TT001';
    end if;
end
$$;
comment on function signal._check_form(signal.model_form, text, integer) is 'Refuses a form that rows cannot be scored by.';
