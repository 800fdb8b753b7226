-- Expected shortfall of a sample of P&L: the mean of its worst share 1 - p_confidence, the last observation
-- counted with the fraction of it that belongs to the tail (Acerbi and Tasche 2002). Losses are positive.
-- Errors: TT001 no values, a value or confidence of no use.
create or replace function risk.expected_shortfall(p_pnl double precision[], p_confidence double precision)
returns double precision
language plpgsql
immutable
parallel safe
as $$
declare
    v_tail double precision;
    v_sum double precision;
begin
    perform risk._require_numbers(p_pnl, 'p_pnl');
    perform risk._require_share(p_confidence, 'p_confidence');
    v_tail := cardinality(p_pnl) * (1 - p_confidence);
    -- The server refuses products too small for a double; these are 0 beside anything that matters.
    select sum(case when abs(s.v) < 1e-280 then 0 else s.v * least(1, v_tail - (s.n - 1)) end order by s.n)
    into v_sum
    from (select v, row_number() over (order by v) as n from unnest(p_pnl) v) s
    where s.n - 1 < v_tail;
    return 0 - v_sum / v_tail;
end
$$;
comment on function risk.expected_shortfall(double precision[], double precision) is
    'Expected shortfall of a sample of P&L, losses positive, exact with a fractional tail. Errors: TT001.';
grant execute on function risk.expected_shortfall(double precision[], double precision) to tsdb_reader;
