-- The legs of a reduction plan: what is held in its scope and its targets change, signed. See
-- risk.plan_reduction for the targets; a fraction is rounded towards zero to a whole lot.
-- Errors: TT001 targets of no use, or one that would not reduce; TT002 unknown symbol.
create or replace function risk._read_targets(
    p_session_id uuid,
    p_account text,
    p_strategy_id integer,
    p_targets jsonb
) returns table (instrument_id integer, symbol text, quantity numeric, target numeric)
language plpgsql
stable
as $$
declare
    v_kind constant text := case
        when p_targets = '"flat"' then 'fraction'
        when jsonb_typeof(p_targets) = 'object' and p_targets ? 'fraction' then 'fraction'
        when jsonb_typeof(p_targets) = 'object' and p_targets <> '{}' then 'symbols' end;
    v_fraction numeric;
    v_bad record;
begin
    if v_kind is null or v_kind = 'fraction' and jsonb_typeof(p_targets) = 'object'
        and (p_targets - 'fraction' <> '{}' or jsonb_typeof(p_targets->'fraction') <> 'number') then
        raise exception 'targets are "flat", {"fraction": 0.5} or {"IBM": 100, …}, not %', p_targets
            using errcode = 'TT001';
    end if;
    if v_kind = 'fraction' then
        v_fraction := case when p_targets = '"flat"' then 0 else (p_targets->>'fraction')::numeric end;
        if not (v_fraction >= 0 and v_fraction < 1) then
            raise exception 'the fraction % that is to be left is not from 0 to below 1', v_fraction
                using errcode = 'TT001';
        end if;
    else
        for v_bad in select t.key, t.value, i.instrument_id from jsonb_each(p_targets) t
            left join ref.instruments i on i.symbol = t.key order by t.key loop
            if v_bad.instrument_id is null then
                raise exception 'instrument "%" does not exist', v_bad.key using errcode = 'TT002';
            elsif jsonb_typeof(v_bad.value) <> 'number' then
                raise exception 'the target of % is a signed quantity, not %', v_bad.key, v_bad.value
                    using errcode = 'TT001';
            end if;
        end loop;
    end if;
    return query
    with held as (
        select p.instrument_id, sum(p.quantity) as quantity
        from portfolio._positions p
        where p.session_id = p_session_id and p.account = p_account
            and p.strategy_id = coalesce(p_strategy_id, p.strategy_id)
        group by p.instrument_id)
    select i.instrument_id, i.symbol, coalesce(h.quantity, 0),
        case v_kind when 'symbols' then (p_targets->>i.symbol)::numeric
            else sign(h.quantity) * trunc(abs(h.quantity) * v_fraction / i.lot_size) * i.lot_size end
    from ref.instruments i
    left join held h using (instrument_id)
    where case v_kind when 'symbols' then p_targets ? i.symbol else h.quantity <> 0 end
    order by i.symbol;
end
$$;
comment on function risk._read_targets(uuid, text, integer, jsonb) is 'Reads the targets of a reduction plan.';
