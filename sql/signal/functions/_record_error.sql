-- Records that a step failed, so that the instance (null: the strategy) is not stepped again in the
-- session, and raises the alert.
create or replace function signal._record_error(
    p_batch market.batches,
    p_strategy_id integer,
    p_instance_id bigint,
    p_sql_state text,
    p_message text
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into signal.strategy_errors (session_id, strategy_id, instance_id, batch_no, as_of, sql_state, message)
    values (p_batch.session_id, p_strategy_id, p_instance_id, p_batch.batch_no, p_batch.as_of, p_sql_state, p_message);
    perform ops.raise_alert('strategy_error', 'critical',
        format('strategy "%s" failed in session %s and is stopped in part or whole: see signal.strategy_errors',
               (select s.strategy from signal.strategies s where s.strategy_id = p_strategy_id), p_batch.session_id),
        jsonb_build_object('session_id', p_batch.session_id, 'instance_id', p_instance_id,
                           'batch_no', p_batch.batch_no, 'message', p_message));
end
$$;
comment on function signal._record_error(market.batches, integer, bigint, text, text) is
    'Records that a step failed and raises the alert.';
