-- The shares that spin-offs hand to one position, as events: per lot of the parent, as it stood at the
-- close before the ex date, its ratio of new shares, its share of the cost, and its day of purchase.
-- Terminates: the parent is looked at before the ex date, and its own parents before theirs.
create or replace function portfolio._receipts(
    p_session_id uuid,
    p_as_of timestamptz,
    p_through date,
    p_known_at timestamptz,
    p_method text,
    p_account text,
    p_strategy_id integer,
    p_instrument_id integer
)
returns setof portfolio._event
language plpgsql
stable
as $$
declare
    v_spin_off ref.spin_offs;
    v_digits constant integer := (
        select i.size_scale from ref.instruments i where i.instrument_id = p_instrument_id);
begin
    for v_spin_off in
        select s.* from ref.spin_offs s
        where s.child_instrument_id = p_instrument_id and s.instrument_id <> p_instrument_id
            and s.ratio is not null and s.ex_date <= p_through
            and s.ex_date::timestamp at time zone portfolio._time_zone(s.instrument_id) <= p_as_of
            and ref._known(s.known_at, s.superseded_at, p_known_at)
        order by s.ex_date, s.instrument_id
    loop
        return query
        select 'receipt', v_spin_off.ex_date, f.opened_at, f.opening_execution_id,
            round(f.quantity * v_spin_off.ratio, 12), null::numeric, 0::numeric,
            round(f.cost * coalesce(v_spin_off.cost_share, 0), 12), null::numeric, null::numeric, v_digits,
            null::text, f.opened_on, null::bigint[], null::numeric[]
        from portfolio._events(p_session_id, p_as_of, v_spin_off.ex_date - 1, p_known_at, p_method,
            p_account, p_strategy_id, v_spin_off.instrument_id) e
        cross join lateral portfolio._fold(e.events, p_method, true) f
        where f.line = 'open';
        if v_spin_off.cash_in_lieu is not null then
            return next (
                'cash_in_lieu', v_spin_off.ex_date,
                v_spin_off.ex_date::timestamp at time zone portfolio._time_zone(v_spin_off.instrument_id), null,
                null, v_spin_off.cash_in_lieu, 0, null, null, null, v_digits, null, null, null,
                null)::portfolio._event;
        end if;
    end loop;
end
$$;
comment on function portfolio._receipts(
    uuid, timestamptz, date, timestamptz, text, text, integer, integer) is
    'The shares that spin-offs hand to one position, as events.';
