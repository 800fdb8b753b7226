-- Dry run of the pre-trade controls: what would be said of this order now. Writes nothing.
-- Keys of p_order as in oms.submit_order. Errors: TT001, TT002 as there.
create or replace function risk.check_order(p_order jsonb, p_as_of timestamptz)
returns table (control text, passed boolean, reason text, observed numeric, limit_value numeric)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select c.control, c.passed, c.reason, c.observed, c.limit_value
    from risk._evaluate(risk._read_order(p_order), p_as_of) v,
        unnest(v.controls, v.passes, v.reasons, v.observed, v.limit_values)
            as c (control, passed, reason, observed, limit_value)
$$;
comment on function risk.check_order(jsonb, timestamptz) is
    'Dry run of every pre-trade control on an order, one row each; the codes are in risk.controls.';
grant execute on function risk.check_order(jsonb, timestamptz) to tsdb_reader, tsdb_worker_any;
