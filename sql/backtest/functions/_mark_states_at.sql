-- What backtest._mark_states finds when everything that became known after p_cut is taken away: every row of
-- backtest.data_sources, really deleted, in a subtransaction that is always rolled back. An error of the
-- strategy without that data is a mark of kind error.
create or replace function backtest._mark_states_at(
    p_run jsonb, p_from timestamptz, p_to timestamptz, p_cut timestamptz
)
returns backtest.state_mark[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_source backtest.data_sources;
    v_marks backtest.state_mark[];
begin
    begin
        for v_source in select * from backtest.data_sources d order by d.relation loop
            -- known_at of every row of a large table takes longer than all the rest.
            execute format(
                case when v_source.ordered_by is null then 'delete from %1$s r where %2$s > $1'
                     else 'delete from %1$s r where %3$s > $1 - $2 and (%3$s > $1 or %2$s > $1)' end,
                v_source.relation::regclass, v_source.known_at, v_source.ordered_by)
            using p_cut, v_source.longest;
        end loop;
        -- Continuous aggregates are not among them: they cannot be refreshed in a transaction.
        perform market.refresh_rollups();
        begin
            v_marks := backtest._mark_states(p_run, p_from, p_to);
        exception when others or assert_failure then
            if signal._is_transient(sqlstate) then
                raise;
            end if;
            v_marks := array[row('error', 0, p_cut, md5(sqlerrm)::uuid)::backtest.state_mark];
        end;
        raise exception 'rolled back' using errcode = 'TT000';
    exception when sqlstate 'TT000' then
        return v_marks;
    end;
end
$$;
comment on function backtest._mark_states_at(jsonb, timestamptz, timestamptz, timestamptz) is
    'Every state and feature of a run without what became known after a time.';
