-- Sets the soft and hard limit of a measure for a scope, superseding those in force; one of them may be
-- null, and both withdraw the limit. Returns the new row's id.
-- Errors: TT001 a scope, value or reason of no use; TT002 unknown measure, account, strategy or session.
create or replace function risk.set_monitor_limit(
    p_measure text,
    p_scope jsonb,
    p_soft numeric,
    p_hard numeric,
    p_reason text
) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id bigint;
begin
    perform ops._audit('risk.set_monitor_limit', p_measure,
        jsonb_build_object('scope', p_scope, 'soft', p_soft, 'hard', p_hard), p_reason);
    perform risk._check_monitor_scope(p_scope);
    if not exists (select from risk.monitor_measures where measure = p_measure) then
        raise exception 'measure "%" does not exist: use one of %', coalesce(p_measure, 'null'),
            (select string_agg(measure, ', ' order by measure) from risk.monitor_measures)
            using errcode = 'TT002';
    end if;
    if (coalesce(p_soft >= 0 and p_soft < 'infinity', true)
        and coalesce(p_hard >= 0 and p_hard < 'infinity', true)) is not true then
        raise exception 'limits % and % are not both numbers of at least 0', p_soft, p_hard
            using errcode = 'TT001';
    end if;
    if p_soft > p_hard then
        raise exception 'the soft limit % is above the hard limit %', p_soft, p_hard using errcode = 'TT001';
    end if;
    if coalesce(p_reason, '') = '' then
        raise exception 'a limit needs a reason' using errcode = 'TT001';
    end if;
    update risk.monitor_limits set superseded_at = clock_timestamp()
    where measure = p_measure and scope = p_scope and superseded_at = 'infinity';
    if num_nonnulls(p_soft, p_hard) > 0 then
        insert into risk.monitor_limits (measure, scope, soft, hard, reason)
        values (p_measure, p_scope, p_soft, p_hard, p_reason)
        returning monitor_limit_id into v_id;
    end if;
    return v_id;
end
$$;
comment on function risk.set_monitor_limit(text, jsonb, numeric, numeric, text) is
    'Sets (or, with two nulls, withdraws) the soft and hard limit of a measure after the trade for a scope: {} or any of session_id, account, strategy. Measures and units: risk.monitor_measures.';
grant execute on function risk.set_monitor_limit(text, jsonb, numeric, numeric, text) to tsdb_risk;
