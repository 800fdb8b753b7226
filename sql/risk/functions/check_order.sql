-- Dry run of the pre-trade controls: what would be said of this order now. Writes nothing.
-- Keys of p_order as in oms.submit_order. Errors: TT001, TT002 as there.
create or replace function risk.check_order(p_order jsonb, p_as_of timestamptz)
returns table (control text, passed boolean, reason text, observed numeric, limit_value numeric)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_order constant risk.order_request := risk._read_order(p_order);
begin
    if p_as_of is null then
        raise exception 'an order needs p_as_of, the session time' using errcode = 'TT001';
    end if;
    perform risk._check_expiry(v_order.expire_at, p_as_of);
    return query
        select c.control, c.passed, c.reason, c.observed, c.limit_value
        from risk._evaluate(v_order, p_as_of) v,
            unnest(v.controls, v.passes, v.reasons, v.observed, v.limit_values)
                as c (control, passed, reason, observed, limit_value);
end
$$;
comment on function risk.check_order(jsonb, timestamptz) is
    'Dry run of every pre-trade control on an order, one row each; the codes are in risk.controls.';
grant execute on function risk.check_order(jsonb, timestamptz) to tsdb_reader, tsdb_worker_any;
