-- How many instances of a run failed, and the first's reason; null if none did.
-- Errors: TT001 all of them did.
create or replace function backtest._judge_failures(p_run_id bigint, p_run jsonb)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_all constant bigint := jsonb_array_length(p_run->'instances');
    v_failed bigint;
    v_first text;
begin
    select count(*), (array_agg(format('instance %s of %s failed at %s: %s', e.instance_id, p_run->>'strategy', e.as_of, e.message)
                                order by e.as_of, e.instance_id))[1]
    into v_failed, v_first
    from backtest.run_errors e where e.run_id = p_run_id;
    if v_failed = v_all then
        raise exception '%', v_first || case when v_all > 1 then format(' (so did all %s)', v_all) else '' end
            using errcode = 'TT001';
    elsif v_failed > 0 then
        return format('%s of %s instances stopped: %s', v_failed, v_all, v_first);
    end if;
    return null;
end
$$;
comment on function backtest._judge_failures(bigint, jsonb) is 'How many instances of a run failed, and why the first did.';
