-- Counts what limits over time count, and returns one row per control that has such a limit: of several
-- limits the one with least left. A window ends with the order and is open at its beginning: (p_as_of - period,
-- p_as_of]; what is stamped later counts too. p_messages: whether the order sends one now, which a parent and a
-- contingent leg do not. p_ahead: earlier legs of the basket.
create or replace function risk._check_rates(
    p_order risk.order_request,
    p_as_of timestamptz,
    p_ahead risk.order_request[],
    p_is_new boolean,
    p_limits risk.limit_over_time[]
) returns table (control text, observed numeric, limit_value numeric)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    v_sends constant boolean := not p_order.is_parent and p_order.contingent_on is null;
    v_enabled_at timestamptz;
begin
    select s.enabled_at into v_enabled_at from signal.strategies s where s.strategy_id = p_order.strategy_id;
    return query
        select distinct on (l.control) l.control, c.n, l.value
        from unnest(p_limits) l
        cross join lateral (
            select case
                when not v_sends or not p_is_new and l.control in ('submit_rate', 'duplicate_order') then 0
                when l.control = 'repeated_execution' then (
                    select count(*) from oms.executions e
                    where e.session_id = p_order.session_id and e.ts > p_as_of - l.period
                        and e.strategy_id = p_order.strategy_id and e.instrument_id = p_order.instrument_id
                        and (e.side = 'buy') = (p_order.side = 'buy') and e.kind = 'fill'
                        and (v_enabled_at is null or e.recorded_at > v_enabled_at)) + 1
                when l.control = 'duplicate_order' then (
                    select count(*) from oms.order_actions a
                    join oms.orders o using (order_id)
                    where a.session_id = p_order.session_id and a.as_of > p_as_of - l.period and a.kind = 'new'
                        and a.account = p_order.account and o.instrument_id = p_order.instrument_id
                        and (o.side, o.quantity, o.order_type, o.limit_price, o.stop_price, o.peg_offset)
                            is not distinct from (p_order.side, p_order.quantity, p_order.order_type,
                                p_order.limit_price, p_order.stop_price, p_order.peg_offset)) + 1 + (
                    select count(*) from unnest(p_ahead) b
                    where b.session_id = p_order.session_id and b.account = p_order.account
                        and b.instrument_id = p_order.instrument_id
                        and (b.side, b.quantity, b.order_type, b.limit_price, b.stop_price, b.peg_offset)
                            is not distinct from (p_order.side, p_order.quantity, p_order.order_type,
                                p_order.limit_price, p_order.stop_price, p_order.peg_offset))
                else (
                    select count(*) from oms.order_actions a
                    where a.session_id = p_order.session_id and a.as_of > p_as_of - l.period
                        and (l.control <> 'submit_rate' or a.kind = 'new')
                        and case l.control
                            when 'message_rate_strategy' then a.strategy_id = p_order.strategy_id
                            when 'message_rate_venue' then a.venue_id = p_order.venue_id
                            else a.account = p_order.account end) + 1 + (
                    select count(*) from unnest(p_ahead) b
                    where b.session_id = p_order.session_id and not b.is_parent and b.contingent_on is null
                        and case l.control
                            when 'message_rate_strategy' then b.strategy_id = p_order.strategy_id
                            when 'message_rate_venue' then b.venue_id = p_order.venue_id
                            else b.account = p_order.account end)
                end::numeric as n) c
        where l.control in ('message_rate_account', 'message_rate_strategy', 'message_rate_venue', 'submit_rate',
            'duplicate_order', 'repeated_execution')
        order by l.control, l.value - c.n;
end
$$;
comment on function risk._check_rates(risk.order_request, timestamptz, risk.order_request[], boolean, risk.limit_over_time[]) is
    'Counts what limits over time count.';
