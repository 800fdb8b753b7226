-- Finds the pairs whose step fails on a batch, records each, and returns how many.
create or replace function signal._isolate_pairs(p_batch market.batches)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_pair record;
    v_found integer := 0;
begin
    -- One by one: only so one can tell whose it is.
    for v_pair in
        select d.* from signal._due_pairs(p_batch.session_id, p_batch.batch_id, p_batch.as_of) d order by d.pair_id
    loop
        begin
            perform signal.step_pairs(v_pair.state, v_pair.input, v_pair.parameters);
        exception when others or assert_failure then
            if signal._is_transient(sqlstate) then
                raise;
            end if;
            perform signal._record_error(p_batch, v_pair.strategy_id, v_pair.pair_id, sqlstate, sqlerrm);
            v_found := v_found + 1;
        end;
    end loop;
    return v_found;
end
$$;
comment on function signal._isolate_pairs(market.batches) is
    'Records the pairs whose step fails on a batch; how many.';
