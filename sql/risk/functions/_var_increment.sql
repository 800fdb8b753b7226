-- What an order adds to the parametric value at risk of an account: that with p_value (account currency, negative
-- when sold) more of the instrument, less that without, by the factor model of the history that counts at p_as_of
-- (risk.save_factors). Its cost follows the account's positions, not the history. Null where anything needed
-- is missing or too old, also of another position: the caller denies. Confidence is that of the settings.
create or replace function risk._var_increment(
    p_session_id uuid,
    p_account text,
    p_instrument_id integer,
    p_value double precision,
    p_as_of timestamptz
) returns double precision
language plpgsql
stable
as $$
declare
    v record;
    v_held record;
    v_own double precision[];
    v_covariance double precision;
    v_variance double precision;
    v_change double precision;
begin
    if (p_value > '-infinity' and p_value < 'infinity') is not true then
        return null;
    end if;
    select c.confidence, c.max_mark_age, s.set_id, w.packed_loadings, w.specific_variance,
        cardinality(w.loadings) as factors, w.loadings
    into v
    from (select * from risk.var_settings order by settings_id desc limit 1) c
    cross join lateral (
        select r.set_id from risk._return_sets r
        where r.currency = (select a.currency from ref.accounts a where a.account = p_account)
            and r.known_at <= p_as_of and r.known_at >= p_as_of - c.max_history_age
        order by r.known_at desc, r.set_id desc limit 1) s
    join risk._windows w on w.set_id = s.set_id and w.instrument_id = p_instrument_id;
    if v.packed_loadings is null then
        return null;
    end if;
    -- As risk._holdings, of one account; what several strategies hold of an instrument is one position.
    select sum(n.packed_loadings * round(n.position_value::numeric)) as loaded,
        coalesce(sum(n.position_value ^ 2 * n.specific_variance), 0) as specific,
        coalesce(sum(n.position_value) filter (where n.instrument_id = p_instrument_id), 0) as own,
        coalesce(bool_or(n.position_value is null or n.packed_loadings is null), false) as missing
    into v_held
    from (
        select h.instrument_id, w.packed_loadings, w.specific_variance,
            case when q.ts >= p_as_of - v.max_mark_age
                then h.quantity * (q.bid_price + q.ask_price) / (2 * i.price_unit) * case
                    when i.currency = a.currency then 1
                    else portfolio._rate_at(i.currency, a.currency, p_as_of)::double precision end
                end as position_value
        from (
            select p.instrument_id, sum(p.quantity)::double precision as quantity
            from portfolio._positions p
            where p.session_id = p_session_id and p.account = p_account
            group by p.instrument_id
            having sum(p.quantity) <> 0) h
        join ref.instruments i using (instrument_id)
        join ref.accounts a on a.account = p_account
        left join market.latest_quotes q
            on q.session_id = p_session_id and q.instrument_id = h.instrument_id
        left join risk._windows w on w.set_id = v.set_id and w.instrument_id = h.instrument_id) n;
    if v_held.missing then
        return null;
    end if;
    v_own := case when v_held.loaded is null then array_fill(0::double precision, array[v.factors])
        else risk._unpack(v_held.loaded, v.factors, 1e-3) end;
    select sum(f * f) + v_held.specific, sum(f * l) + v_held.own * v.specific_variance, sum(l * l) + v.specific_variance
    into v_variance, v_covariance, v_change
    from unnest(v_own, v.loadings) as u (f, l);
    return risk._normal_quantile(v.confidence) * (
        sqrt(greatest(0, v_variance + 2 * p_value * v_covariance + p_value ^ 2 * v_change)) - sqrt(v_variance));
end
$$;
comment on function risk._var_increment(uuid, text, integer, double precision, timestamptz) is
    'What an order adds to the parametric value at risk of an account; null where anything needed is missing.';
