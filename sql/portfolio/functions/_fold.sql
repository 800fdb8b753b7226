-- Goes through what happened to one position, in order, by average, fifo, lifo or specific (lots that a
-- person named first, the rest fifo). With p_lots: a line `closed` per piece of a lot that was closed and
-- a line `open` per lot left; else a line `state` per event. Quantities and costs of lots have the sign
-- of the position; of average there is one lot, which no execution stands for.
--
-- A lot keeps its cost, not a price, and the last piece of it takes what is left of the cost: whatever is
-- rounded (to 12 decimals: averages, prices after a split), realized - fees = cash + cost to the last digit.
create or replace function portfolio._fold(p_events portfolio._event[], p_method text, p_lots boolean)
returns setof portfolio._line
language plpgsql
immutable
as $$
declare
    v portfolio._event;
    r portfolio._line;
    v_position numeric := 0;
    v_cost numeric := 0;
    v_signed numeric;
    v_value numeric;
    v_closed numeric;
    v_proceeds numeric;
    v_proceeds_left numeric;
    v_left numeric;
    v_taken numeric;
    v_taken_cost numeric;
    v_part numeric;
    v_sum numeric;
    -- Lots, oldest first; closed ones have quantity 0 and are passed over.
    v_quantities numeric[] := '{}';
    v_costs numeric[] := '{}';
    v_ids bigint[] := '{}';
    v_dates date[] := '{}';
    v_times timestamptz[] := '{}';
    v_first integer := 1;
    v_last integer := 0;
    v_at integer;
    v_named integer;
begin
    r.n := 0;
    -- Event by event: each one's effect depends on the position before it.
    foreach v in array p_events loop
        r.line := 'state';
        r.n := r.n + 1;
        r.kind := v.kind;
        r.trade_date := v.trade_date;
        r.ts := v.ts;
        r.execution_id := v.execution_id;
        r.held := v_position;
        r.realized := 0;
        r.cash := 0;
        r.fee := 0;
        r.income := 0;
        r.currency := null;
        v_signed := 0;
        case v.kind
            when 'fill', 'receipt' then
                v_signed := v.quantity;
            when 'cash_in_lieu' then
                v_signed := trunc(v_position, v.digits) - v_position;
            when 'dividend', 'distribution' then
                r.income := v_position * v.price;
                r.currency := v.currency;
            when 'split' then
                -- Boundaries between lots are rounded, not lots: they still add up to the position.
                v_left := 0;
                v_sum := 0;
                for v_at in v_first..v_last loop
                    v_left := v_left + v_quantities[v_at];
                    v_part := round(v_left * v.new_shares / v.old_shares, 12);
                    v_quantities[v_at] := v_part - v_sum;
                    v_sum := v_part;
                end loop;
                v_position := v_sum;
            when 'spin_off' then
                for v_at in v_first..v_last loop
                    v_part := (select sum(round(v_costs[v_at] * s, 12)) from unnest(v.shares) s);
                    v_costs[v_at] := v_costs[v_at] - v_part;
                    r.cash := r.cash + v_part;
                end loop;
                v_cost := v_cost - r.cash;
        end case;

        if v_signed <> 0 then
            v_value := case v.kind when 'receipt' then v.cost else v_signed * v.price end;
            v_closed := 0;
            v_proceeds := 0;
            if v_position * v_signed < 0 then
                v_closed := sign(v_position) * least(abs(v_position), abs(v_signed));
                v_proceeds := case v.kind
                    when 'receipt' then round(v_value * v_closed / v_signed, 12)
                    else v_closed * v.price end;
            end if;
            r.realized := v_proceeds;
            r.fee := coalesce(v.fee, 0);
            r.cash := -v_value - r.fee;
            v_proceeds_left := v_proceeds;
            v_left := v_closed;
            v_named := 0;
            while v_left <> 0 loop
                v_part := null;
                if p_method = 'specific' and v_named < coalesce(cardinality(v.lots), 0) then
                    v_named := v_named + 1;
                    v_at := array_position(v_ids, v.lots[v_named]);
                    continue when v_at is null or v_quantities[v_at] = 0;
                    v_part := v.shares[v_named];
                elsif p_method = 'lifo' then
                    while v_quantities[v_last] = 0 loop
                        v_last := v_last - 1;
                    end loop;
                    v_at := v_last;
                else
                    while v_quantities[v_first] = 0 loop
                        v_first := v_first + 1;
                    end loop;
                    v_at := v_first;
                end if;
                v_taken := sign(v_left) * least(abs(v_left), abs(v_quantities[v_at]), v_part);
                v_taken_cost := case
                    when v_taken = v_quantities[v_at] then v_costs[v_at]
                    else round(v_costs[v_at] * v_taken / v_quantities[v_at], 12) end;
                v_left := v_left - v_taken;
                v_part := case
                    when v_left = 0 then v_proceeds_left
                    when v.kind = 'receipt' then round(v_proceeds * v_taken / v_closed, 12)
                    else v_taken * v.price end;
                v_proceeds_left := v_proceeds_left - v_part;
                v_quantities[v_at] := v_quantities[v_at] - v_taken;
                v_costs[v_at] := v_costs[v_at] - v_taken_cost;
                v_cost := v_cost - v_taken_cost;
                r.realized := r.realized - v_taken_cost;
                if p_lots then
                    return next (
                        'closed', r.n, v.kind, v.trade_date, v.ts, v.execution_id, v_ids[v_at],
                        v_dates[v_at], v_times[v_at], r.held, null, null, v_taken, v_taken_cost,
                        v_part - v_taken_cost, null, null, null, null)::portfolio._line;
                end if;
            end loop;
            v_position := v_position + v_signed;
            v_signed := v_signed + v_closed;
            if v_signed <> 0 then
                v_cost := v_cost + v_value + v_proceeds;
                if p_method = 'average' and v_last > 0 and v_quantities[v_last] <> 0 then
                    v_quantities[v_last] := v_quantities[v_last] + v_signed;
                    v_costs[v_last] := v_costs[v_last] + v_value + v_proceeds;
                else
                    v_last := v_last + 1;
                    v_quantities[v_last] := v_signed;
                    v_costs[v_last] := v_value + v_proceeds;
                    if p_method <> 'average' then
                        v_ids[v_last] := v.execution_id;
                        v_dates[v_last] := coalesce(v.opened_on, v.trade_date);
                        v_times[v_last] := v.ts;
                    end if;
                end if;
            end if;
        end if;
        if not p_lots then
            r.position := v_position;
            r.position_cost := v_cost;
            r.quantity := r.position - r.held;
            return next r;
        end if;
    end loop;
    if p_lots then
        for v_at in v_first..v_last loop
            continue when v_quantities[v_at] = 0;
            return next (
                'open', r.n, null, null, null, null, v_ids[v_at], v_dates[v_at], v_times[v_at], null,
                v_position, v_cost, v_quantities[v_at], v_costs[v_at], null, null, null, null,
                null)::portfolio._line;
        end loop;
    end if;
end
$$;
comment on function portfolio._fold(portfolio._event[], text, boolean) is
    'Goes through the events of one position: its states, or its closed and open lots.';
