-- Why each control of a verdict did not pass; an empty text for one that did. p_why: by position, what a control that
-- needs no limit has against the order, and what keeps another from being measured; null for the usual words.
create or replace function risk._explain(p_verdict risk.verdict, p_why text[])
returns text[]
language plpgsql
stable
as $$
begin
    return (
        select array_agg(case
            when u.passed then ''
            when not c.needs_limit then coalesce(u.why, 'unknown')
            when c.is_required and u.limit_value is null then 'no limit is set'
            when u.why is not null or u.observed is null then coalesce(u.why, 'no usable quote')
            else trim_scale(round(u.observed, 8)) || case when c.is_floor then ' is under' else ' is over' end
                || ' the limit of ' || trim_scale(u.limit_value) end order by u.no)
        from unnest(p_verdict.controls, p_verdict.passes, p_verdict.observed, p_verdict.limit_values, p_why)
            with ordinality as u (control, passed, observed, limit_value, why, no)
        join risk.controls c on c.control = u.control);
end
$$;
comment on function risk._explain(risk.verdict, text[]) is 'Why the controls of a verdict did not pass.';
