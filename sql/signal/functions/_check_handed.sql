-- Raises TT004 where the Python strategies of a session were not stepped on a batch: a worker does that
-- before, by signal.python_inputs and signal.hand_over_steps.
create or replace function signal._check_handed(p_batch market.batches)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_missing text;
begin
    select case when b.batch_no is null then format('strategy "%s"', s.strategy)
                else (
                    select format('instance %s of strategy "%s"', d.instance_id, s.strategy)
                    from signal._due_instances(
                        p_batch.session_id, s.strategy_id, p_batch.batch_id, p_batch.batch_no, p_batch.as_of) d
                    where not exists (
                        select from signal.python_steps y
                        where y.session_id = p_batch.session_id and y.instance_id = d.instance_id
                            and y.batch_no = p_batch.batch_no and y.as_of = p_batch.as_of)
                    order by d.instance_id limit 1) end
    into v_missing
    from signal._python_strategies(p_batch.session_id) s
    left join signal.python_batches b on b.session_id = p_batch.session_id and b.batch_no = p_batch.batch_no
    order by 1
    limit 1;
    if v_missing is not null then
        raise exception '% is in Python and was not stepped on batch %: have the signals worker consume it',
            v_missing, p_batch.batch_no using errcode = 'TT004';
    end if;
end
$$;
comment on function signal._check_handed(market.batches) is
    'Raises TT004 where the Python strategies of a session were not stepped on a batch.';
