-- Value at risk of a sample of P&L: the loss that is exceeded with probability 1 - p_confidence. Losses are
-- positive. p_method: linear (between the two order statistics) or lower (the worse of the two), as
-- numpy.quantile at 1 - p_confidence in double precision: 1 - 0.9 is a hair below 0.1 there and here.
-- Errors: TT001 no values, a value or confidence of no use, unknown method.
create or replace function risk.var_historical(
    p_pnl double precision[],
    p_confidence double precision,
    p_method text default 'linear'
) returns double precision
language plpgsql
immutable
parallel safe
as $$
declare
    v_sorted double precision[];
    v_index double precision;
    v_at integer;
    v_part double precision;
    v_low double precision;
    v_high double precision;
    v_step double precision;
begin
    perform risk._require_numbers(p_pnl, 'p_pnl');
    perform risk._require_share(p_confidence, 'p_confidence');
    if p_method is null or p_method not in ('linear', 'lower') then
        raise exception 'p_method "%" is none of linear, lower', p_method using errcode = 'TT001';
    end if;
    v_sorted := array(select v from unnest(p_pnl) v order by v);
    v_index := (cardinality(v_sorted) - 1) * (1 - p_confidence);
    v_at := floor(v_index);
    v_low := v_sorted[v_at + 1];
    if p_method = 'lower' then
        return 0 - v_low;
    end if;
    v_high := coalesce(v_sorted[v_at + 2], v_low);
    v_part := v_index - v_at;
    v_step := v_high - v_low;
    -- The server refuses a product that would round to 0: half the least double or less.
    if v_step < 1e-280 and v_step * 1e30 * least(v_part, 1 - v_part) <= 2.4703282292062329e-294 then
        v_step := 0;
    end if;
    return 0 - case when v_part < 0.5 then v_low + v_step * v_part else v_high - v_step * (1 - v_part) end;
end
$$;
comment on function risk.var_historical(double precision[], double precision, text) is
    'Value at risk of a sample of P&L, losses positive: -numpy.quantile(p_pnl, 1 - p_confidence, p_method). p_method: linear or lower. Errors: TT001.';
grant execute on function risk.var_historical(double precision[], double precision, text) to tsdb_reader;
