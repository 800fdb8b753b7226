-- Why a verdict refuses: one text per control that did not pass.
create or replace function risk._reasons(p_verdict risk.verdict)
returns text[]
language plpgsql
immutable
as $$
begin
    return (
        select array_agg(u.c || ': ' || u.r order by u.n)
        from unnest(p_verdict.controls, p_verdict.passes, p_verdict.reasons) with ordinality as u (c, p, r, n)
        where not u.p);
end
$$;
comment on function risk._reasons(risk.verdict) is 'Why a verdict refuses.';
