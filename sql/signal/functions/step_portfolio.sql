-- One step of a portfolio: the events of a strategy's instances at one time, to the net target of every
-- instrument. Live trading, parity and every backtest run this function and no other. Immutable.
--
-- An instance holds its accepted quantities until its next event is accepted. What does not increase any
-- of its legs (an exit, a stop) is always accepted. Anything else is an entry: entries are tried one
-- after the other, the largest |score| first, then by id, null scores last, and refused with a reason if
-- the event is blocked, or if with it
--   positions      more than max_positions instances hold something;
--   gross          the sum of |net quantity * mid| is above max_gross and grows;
--   sector X       the |net value| of a sector of its legs is above max_sector_net and grows;
--   market         |sum of beta * net value| is above max_market_net and grows;
--   no price, no sector, no beta   what a constraint needs is not known for an instrument.
-- Values are in the instruments' currency at p_input.mids; a null parameter is no constraint.
-- p_input.instruments must contain every instrument held or in an event, else TT001.
-- The result's changed and changed_quantities are the instruments whose net target changed, and to what;
-- refused and reasons the entries refused in this step.
create or replace function signal.step_portfolio(
    p_state signal.portfolio_state,
    p_input signal.portfolio_input,
    p_parameters signal.portfolio_parameters
)
returns signal.portfolio_state
language plpgsql
immutable
parallel safe
as $$
declare
    v signal.portfolio_state := p_state;
    v_event record;
    v_old bigint[];     -- net quantities by place in p_input.instruments
    v_net bigint[];
    v_next bigint[];
    v_reason text;
begin
    v.as_of := p_input.as_of;
    v.refused := '{}';
    v.reasons := '{}';
    v.leg_instances := coalesce(v.leg_instances, '{}');
    v.leg_instruments := coalesce(v.leg_instruments, '{}');
    v.leg_quantities := coalesce(v.leg_quantities, '{}');
    if not (coalesce(v.instruments, '{}') || coalesce(p_input.leg_instruments, '{}') <@ p_input.instruments) then
        raise exception 'the input of a portfolio lacks instruments that it holds or is to hold' using errcode = 'TT001';
    end if;
    v_old := array(
        select coalesce(h.quantity, 0)
        from unnest(p_input.instruments) with ordinality i (instrument_id, place)
        left join unnest(v.instruments, v.quantities) h (instrument_id, quantity) using (instrument_id)
        order by i.place);
    v_net := v_old;

    for v_event in
        select e.instance_id, e.blocked, l.instruments, l.quantities, l.before, l.reduces, l.places
        from unnest(p_input.instance_ids, p_input.scores, p_input.blocked) e (instance_id, score, blocked)
        cross join lateral (
            select array_agg(x.instrument_id order by x.instrument_id) as instruments,
                   array_agg(x.quantity order by x.instrument_id) as quantities,
                   array_agg(coalesce(h.quantity, 0) order by x.instrument_id) as before,
                   array_agg(array_position(p_input.instruments, x.instrument_id) order by x.instrument_id) as places,
                   bool_and(abs(x.quantity) <= abs(coalesce(h.quantity, 0))
                       and x.quantity * sign(coalesce(h.quantity, 0)) >= 0) as reduces
            from unnest(p_input.leg_instances, p_input.leg_instruments, p_input.leg_quantities)
                x (instance_id, instrument_id, quantity)
            left join unnest(v.leg_instances, v.leg_instruments, v.leg_quantities)
                h (instance_id, instrument_id, quantity)
                on h.instance_id = x.instance_id and h.instrument_id = x.instrument_id
            where x.instance_id = e.instance_id) l
        order by l.reduces desc, abs(e.score) desc nulls last, e.instance_id
    loop
        v_next := v_net;
        for n in 1 .. cardinality(v_event.places) loop
            v_next[v_event.places[n]] := v_next[v_event.places[n]] + v_event.quantities[n] - v_event.before[n];
        end loop;
        if not v_event.reduces then
            v_reason := v_event.blocked;
            if v_reason is null and (
                select count(distinct h.instance_id) from unnest(v.leg_instances) h (instance_id)
                where h.instance_id <> v_event.instance_id) >= p_parameters.max_positions
            then
                v_reason := 'positions';
            end if;
            if v_reason is null and coalesce(p_parameters.max_gross, p_parameters.max_sector_net,
                                             p_parameters.max_market_net) is not null
            then
                v_reason := signal._judge_portfolio(v_net, v_next, v_event.places, p_input, p_parameters);
            end if;
            if v_reason is not null then
                v.refused := v.refused || v_event.instance_id;
                v.reasons := v.reasons || v_reason;
                continue;
            end if;
        end if;
        v_net := v_next;
        -- Its legs anew: those of the others, then its own that are not flat.
        select coalesce(array_agg(a.instance_id order by a.instance_id, a.instrument_id), '{}'),
               coalesce(array_agg(a.instrument_id order by a.instance_id, a.instrument_id), '{}'),
               coalesce(array_agg(a.quantity order by a.instance_id, a.instrument_id), '{}')
        into v.leg_instances, v.leg_instruments, v.leg_quantities
        from (
            select h.instance_id, h.instrument_id, h.quantity
            from unnest(v.leg_instances, v.leg_instruments, v.leg_quantities)
                h (instance_id, instrument_id, quantity)
            where h.instance_id <> v_event.instance_id
            union all
            select v_event.instance_id, x.instrument_id, x.quantity
            from unnest(v_event.instruments, v_event.quantities) x (instrument_id, quantity)
            where x.quantity <> 0) a;
    end loop;

    select coalesce(array_agg(i.instrument_id order by i.instrument_id) filter (where i.quantity <> 0), '{}'),
           coalesce(array_agg(i.quantity order by i.instrument_id) filter (where i.quantity <> 0), '{}'),
           coalesce(array_agg(i.instrument_id order by i.instrument_id) filter (where i.quantity <> i.before), '{}'),
           coalesce(array_agg(i.quantity order by i.instrument_id) filter (where i.quantity <> i.before), '{}')
    into v.instruments, v.quantities, v.changed, v.changed_quantities
    from unnest(p_input.instruments, v_net, v_old) i (instrument_id, quantity, before);
    return v;
end
$$;
comment on function signal.step_portfolio(
    signal.portfolio_state, signal.portfolio_input, signal.portfolio_parameters) is
    'One step of a portfolio: events of a strategy''s instances to the net target per instrument, within constraints.';
grant execute on function signal.step_portfolio(
    signal.portfolio_state, signal.portfolio_input, signal.portfolio_parameters) to tsdb_reader;
