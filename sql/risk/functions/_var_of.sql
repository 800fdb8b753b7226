-- The parametric value at risk of a P&L vector (risk._pnl_vectors) at the settings' confidence; null of null.
create or replace function risk._var_of(p_pnl double precision[])
returns double precision
language plpgsql
stable
as $$
begin
    return risk._normal_quantile((risk._var_settings()).confidence)
        * (select sqrt(avg(p * p)) from unnest(p_pnl) p);
end
$$;
comment on function risk._var_of(double precision[]) is
    'The parametric value at risk of what positions would have earned.';
