-- Records which limits the given figures break at a session time: opens breaches and raises their alerts,
-- follows open ones, ends those that were over for a minute, and raises trading states. A state is raised
-- as long as its breach lasts: who lowers it meanwhile has to raise the limit first.
-- Returns how many breaches are new. The caller holds the session's row in risk.monitored.
create or replace function risk._record_breaches(
    p_session_id uuid,
    p_figures risk.figures[],
    p_as_of timestamptz
) returns integer
language plpgsql
as $$
declare
    v_breach record;
    v_new integer := 0;
    v_states jsonb := '{}';
    v_ended bigint[];
begin
    -- Row by row: each breach raises an alert of its own, and there are few.
    for v_breach in
        with judged as materialized (
            select f.account, f.strategy_id, risk._monitor_scope(f) as scope, j.*,
                coalesce(min(j.hard) filter (where j.measure = 'mark_age')
                    over (partition by f.account, f.strategy_id), 0) as grace
            from unnest(p_figures) f
            cross join lateral risk._judge(f, p_as_of) j),
        broken as (
            select j.account, j.strategy_id, j.scope, j.measure, j.value, j.problem, l.*, j.grace
            from judged j
            join risk.monitor_measures m using (measure)
            cross join lateral (values
                ('unknown', null::numeric, j.value is null, 'reducing'),
                ('soft', j.soft, j.value > j.soft, m.soft_state),
                ('hard', j.hard, j.value > j.hard, m.hard_state)) as l (level, limit_value, is_over, state)
            where l.is_over),
        recorded as (
            insert into risk.breaches as b (session_id, account, strategy_id, measure, level, scope, value,
                worst_value, limit_value, since, over_at, reason)
            select p_session_id, x.account, x.strategy_id, x.measure, x.level, x.scope, x.value, x.value,
                x.limit_value, p_as_of, p_as_of, x.problem
            from broken x
            on conflict (session_id, account, strategy_id, measure, level) where until is null do update
            set worst_value = greatest(b.worst_value, excluded.value), over_at = excluded.over_at,
                limit_value = excluded.limit_value
            returning b.*)
        select r.breach_id, r.scope::text as scope, r.since = p_as_of as is_new,
            -- What is unknown may come back by itself: it restricts only after a while.
            case when r.level <> 'unknown' or extract(epoch from p_as_of - r.since) >= x.grace
                then x.state end as state
        from recorded r
        join broken x using (account, strategy_id, measure, level)
    loop
        if v_breach.is_new then
            v_new := v_new + 1;
            perform risk._begin_breach(v_breach.breach_id);
        end if;
        -- The strictest of a scope: "halted" sorts before "reducing".
        if v_breach.state is not null then
            v_states := v_states || jsonb_build_object(
                v_breach.scope, least(v_breach.state collate "C", v_states->>v_breach.scope));
        end if;
    end loop;
    perform risk._raise_state(s.key::jsonb, s.value, 'over a limit after the trade: see risk.breaches')
    from jsonb_each_text(v_states) s;

    select array_agg(b.breach_id) into v_ended
    from risk.breaches b
    where b.session_id = p_session_id and b.until is null and b.over_at <= p_as_of - interval '1 minute'
        -- While a measure is unknown, nobody knows that it is within its limits.
        and not exists (
            select from risk.breaches u
            where u.session_id = b.session_id and u.account = b.account and u.strategy_id = b.strategy_id
                and u.measure = b.measure and u.level = 'unknown' and u.until is null and u.over_at = p_as_of);
    if v_ended is not null then
        perform risk._end_breaches(v_ended, 'not over its limit for a minute');
    end if;
    return v_new;
end
$$;
comment on function risk._record_breaches(uuid, risk.figures[], timestamptz) is
    'Records breaches with their alerts and trading states.';
