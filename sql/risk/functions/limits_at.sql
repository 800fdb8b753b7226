-- The limits that covered an order at each decision on it (new, replace, release): valid at the decision's
-- session time, as known when it was made, whatever was set afterwards. is_binding: it is the one whose value the
-- decision compared with. Errors: TT002 unknown order.
create or replace function risk.limits_at(p_order_id bigint)
returns table (
    decision_id bigint, action text, control text, value numeric, period interval, scope jsonb,
    is_binding boolean, limit_id bigint, reason text, set_by text, valid_from timestamptz,
    valid_to timestamptz, recorded_at timestamptz, superseded_at timestamptz)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_row oms.orders;
    v_keys text[];
begin
    select * into v_row from oms.orders o where o.order_id = p_order_id;
    if not found then
        raise exception 'order % does not exist', coalesce(p_order_id::text, 'null') using errcode = 'TT002';
    end if;
    v_keys := risk._scope_keys(risk._restate_order(v_row));
    return query
        select d.decision_id, d.action, l.control, l.value, l.period, l.scope,
            coalesce(l.value = d.limit_values[array_position(d.controls, l.control)], false),
            l.limit_id, l.reason, l.set_by, l.valid_from, l.valid_to, l.recorded_at, l.superseded_at
        from risk.decisions d
        join risk.limits l on l.scope_key = any (v_keys)
        where d.order_id = p_order_id and d.decided_at >= l.recorded_at and d.decided_at < l.superseded_at
            and d.as_of >= l.valid_from and d.as_of < l.valid_to
        order by d.decision_id, l.control, l.limit_id;
end
$$;
comment on function risk.limits_at(bigint) is
    'The limits that covered an order at each decision on it, as they were known then. Errors: TT002.';
grant execute on function risk.limits_at(bigint) to tsdb_reader;
