-- Steps the instances of every strategy other than pairs on a batch, a strategy at a time: how many,
-- and what they decided. Whatever a strategy's functions raise stops them and nobody else.
-- Those in Python were stepped before: TT004 where they were not.
create or replace function signal._step_strategies(
    p_batch market.batches,
    out stepped integer,
    out decisions signal.decision[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_strategy signal.strategies;
    v_step record;
begin
    stepped := 0;
    perform signal._check_handed(p_batch);
    for v_strategy in
        select s.* from signal.strategies s
        where s.strategy_id in (
            select n.strategy_id
            from signal.session_instances si join signal.instances n on n.instance_id = si.instance_id
            where si.session_id = p_batch.session_id)
            and not exists (
                select from signal.strategy_errors e
                where e.session_id = p_batch.session_id and e.strategy_id = s.strategy_id and e.instance_id is null)
        order by s.strategy_id
    loop
        continue when v_strategy.python_class is null and not signal._know_features(p_batch, v_strategy);
        begin
            v_step := signal._step_instances(p_batch, v_strategy);
        exception when others or assert_failure then
            if signal._is_transient(sqlstate) or v_strategy.python_class is not null
                or signal._isolate_instances(p_batch, v_strategy) = 0
            then
                raise;
            end if;
            v_step := signal._step_instances(p_batch, v_strategy);
        end;
        stepped := stepped + v_step.stepped;
        decisions := decisions || v_step.decisions;
    end loop;
end
$$;
comment on function signal._step_strategies(market.batches) is
    'Steps the instances of every strategy other than pairs on a batch; how many, and what they decided.';
