-- Sets a limit for a scope over a range of session time; a null value withdraws it there, after which orders
-- that need it are denied unless a wider scope has one. What was set before stays in force outside the
-- range: at any session time, as known at any time, there is at most one limit per control and scope.
-- p_period: the window of a control that counts over time; null: the control's own. Returns the new
-- row's id. What the scope names has to exist, or the limit would hold for nobody: accounts, instruments and the rest
-- are set up before their limits. Only to withdraw one is possible always: names change.
-- Errors: TT001 a scope, value, reason, range or period of no use; TT002 unknown control or name; TT003
-- isolation level.
create or replace function risk.set_limit(
    p_control text,
    p_scope jsonb,
    p_value numeric,
    p_reason text,
    p_valid_from timestamptz default '-infinity',
    p_valid_to timestamptz default 'infinity',
    p_period interval default null
) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_control risk.controls;
    v_old risk.limits[];
    v_now timestamptz;
    v_limit_id bigint;
begin
    perform ops._audit('risk.set_limit', p_scope::text,
        jsonb_build_object('control', p_control, 'value', p_value), p_reason);
    perform risk._check_scope(p_scope);
    perform risk._require_reason(p_reason, 'a limit');
    perform risk._check_range(p_valid_from, p_valid_to);
    select * into v_control from risk.controls c where c.control = p_control and c.needs_limit;
    if not found then
        raise exception 'control "%" has no limit: use one of %', p_control,
            (select string_agg(control, ', ' order by control) from risk.controls where needs_limit)
            using errcode = 'TT002';
    end if;
    if p_value is not null and not (p_value >= 0 and p_value < 'infinity') then
        raise exception 'limit % is not a number of at least 0', p_value using errcode = 'TT001';
    end if;
    if p_period is not null and v_control.period is null then
        raise exception 'control "%" does not count over time and has no period', p_control using errcode = 'TT001';
    end if;
    if p_period is not null and not (p_period > interval '0') then
        raise exception 'period % is not longer than nothing', p_period using errcode = 'TT001';
    end if;
    if p_value is not null then
        perform risk._check_names(p_scope);
    end if;
    perform risk._lock_setting('limit ' || p_control || ' ' || p_scope::text);
    if risk._is_shared(p_control) then
        -- Whoever submits now has not locked what this limit shares (oms._lock_shared): he commits first.
        perform pg_advisory_xact_lock(hashtextextended('risk.limits', 0));
    end if;
    -- After the lock, so that what is known follows in the order of the changes.
    v_now := clock_timestamp();
    with old as (
        update risk.limits l set superseded_at = v_now
        where l.control = p_control and l.scope = p_scope and l.superseded_at = 'infinity'
            and l.valid_from < p_valid_to and l.valid_to > p_valid_from
        returning l)
    select array_agg(old.l) into v_old from old;
    insert into risk.limits (control, scope, value, reason, set_by, valid_from, valid_to, recorded_at, period)
    select o.control, o.scope, o.value, o.reason, o.set_by, part.valid_from, part.valid_to, v_now, o.period
    from unnest(v_old) o
    cross join lateral (values
        (o.valid_from, least(o.valid_to, p_valid_from)), (greatest(o.valid_from, p_valid_to), o.valid_to)
    ) as part (valid_from, valid_to)
    where part.valid_from < part.valid_to;
    if p_value is not null then
        insert into risk.limits (control, scope, value, reason, valid_from, valid_to, recorded_at, period)
        values (p_control, p_scope, p_value, p_reason, p_valid_from, p_valid_to, v_now, p_period)
        returning limit_id into v_limit_id;
    end if;
    -- Plans made when there were few limits would read all of them.
    if (select 2 * reltuples + 100 < v_limit_id from pg_class where oid = 'risk.limits'::regclass) then
        analyze risk.limits;
    end if;
    return v_limit_id;
end
$$;
comment on function risk.set_limit(text, jsonb, numeric, text, timestamptz, timestamptz, interval) is
    'Sets (or, with null, withdraws) the limit of a control for a scope, {} or any of session_id, account, strategy, symbol, venue, sector, over a range of session time. Units: risk.controls. Errors: TT001, TT002, TT003.';
grant execute on function risk.set_limit(text, jsonb, numeric, text, timestamptz, timestamptz, interval) to tsdb_risk;
