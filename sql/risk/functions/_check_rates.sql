-- Counts what limits over time count. Both arrays are by position: messages of the account, of the strategy and to the
-- venue, new orders, equal orders, executions; null without such a limit, and of several the one with
-- least left. A window ends with the order and is open at its beginning: (p_as_of - period, p_as_of]; what is
-- stamped later counts too. p_is_new: a new order, not one that changes. A parent and a contingent leg send nothing
-- now. p_ahead: earlier legs of the basket.
create or replace function risk._check_rates(
    p_order risk.order_request,
    p_as_of timestamptz,
    p_ahead risk.order_request[],
    p_is_new boolean,
    p_limits risk.limit_over_time[],
    out observed numeric[],
    out limit_values numeric[]
)
language plpgsql
stable
as $$
declare
    v_sends constant boolean := not p_order.is_parent and p_order.contingent_on is null;
begin
    -- All messages are counted by one sub-select: to prepare another costs more than to run it.
    select array_agg(t.n order by t.no), array_agg(t.value order by t.no) into observed, limit_values
    from (
        select distinct on (c.no) c.no, l.value, n.n
        from unnest(array['message_rate_account', 'message_rate_strategy', 'message_rate_venue', 'submit_rate',
            'duplicate_order', 'repeated_execution']) with ordinality as c (control, no)
        left join unnest(p_limits) l on l.control = c.control
        cross join lateral (
            select case
                when l.control is null then null
                when not v_sends or not p_is_new and l.control in ('submit_rate', 'duplicate_order') then 0
                when l.control = 'repeated_execution' then (
                    select count(*) from oms.executions e
                    where e.session_id = p_order.session_id and e.ts > p_as_of - l.period
                        and e.strategy_id = p_order.strategy_id and e.instrument_id = p_order.instrument_id
                        and (e.side = 'buy') = (p_order.side = 'buy') and e.kind = 'fill'
                        and e.recorded_at > coalesce((
                            select s.enabled_at from signal.strategies s
                            where s.strategy_id = p_order.strategy_id), '-infinity')) + 1
                else (
                    select count(*) from oms.order_actions a
                    where a.session_id = p_order.session_id and a.as_of > p_as_of - l.period
                        and (a.kind = 'new' or l.control not in ('submit_rate', 'duplicate_order'))
                        and case l.control
                            when 'message_rate_strategy' then a.strategy_id = p_order.strategy_id
                            when 'message_rate_venue' then a.venue_id = p_order.venue_id
                            when 'duplicate_order' then a.account = p_order.account and exists (
                                select from oms.orders o
                                where o.order_id = a.order_id and o.instrument_id = p_order.instrument_id
                                    and (o.side, o.quantity, o.order_type, o.limit_price, o.stop_price, o.peg_offset)
                                    is not distinct from (p_order.side, p_order.quantity, p_order.order_type,
                                        p_order.limit_price, p_order.stop_price, p_order.peg_offset))
                            else a.account = p_order.account end) + 1 + (
                    select count(*) from unnest(p_ahead) b
                    where b.session_id = p_order.session_id
                        and case l.control
                            when 'message_rate_strategy' then b.strategy_id = p_order.strategy_id
                            when 'message_rate_venue' then b.venue_id = p_order.venue_id
                            else b.account = p_order.account end
                        and case l.control
                            when 'duplicate_order' then b.instrument_id = p_order.instrument_id
                                and (b.side, b.quantity, b.order_type, b.limit_price, b.stop_price, b.peg_offset)
                                is not distinct from (p_order.side, p_order.quantity, p_order.order_type,
                                    p_order.limit_price, p_order.stop_price, p_order.peg_offset)
                            else not b.is_parent and b.contingent_on is null end)
                end::numeric as n
            -- Else the expression is pulled up into the sort as well, and everything is counted twice.
            offset 0) n
        order by c.no, l.value - n.n) t;
end
$$;
comment on function risk._check_rates(risk.order_request, timestamptz, risk.order_request[], boolean, risk.limit_over_time[]) is
    'Counts what limits over time count.';
