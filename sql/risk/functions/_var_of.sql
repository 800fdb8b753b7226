-- The parametric value at risk of an account, as in risk.var_at; 0 where nothing is held, null where anything
-- needed is missing or too old.
create or replace function risk._var_of(p_session_id uuid, p_account text, p_as_of timestamptz)
returns double precision
language sql
stable
as $$
    select case
        when count(*) = 0 then 0
        else max(risk._normal_quantile((risk._var_settings()).confidence)
            * (select pg_catalog.sqrt(pg_catalog.avg(p * p)) from pg_catalog.unnest(v.pnl) p)) end
    from risk._pnl_vectors(p_session_id, p_account, p_as_of) v
    where v.strategy_id is null
$$;
comment on function risk._var_of(uuid, text, timestamptz) is
    'The parametric value at risk of an account; null where anything needed is missing.';
