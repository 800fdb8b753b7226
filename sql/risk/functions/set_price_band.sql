-- Sets the prices within which an instrument may trade, over a range of session time; null for both withdraws them
-- there. p_session_id null: of every session, beside those of one. What was set before stays in force outside
-- the range, as with risk.set_limit. Returns the new row's id.
-- Errors: TT001 prices, reason or range of no use; TT002 unknown instrument or session; TT003 isolation level.
create or replace function risk.set_price_band(
    p_symbol text,
    p_low numeric,
    p_high numeric,
    p_reason text,
    p_valid_from timestamptz default '-infinity',
    p_valid_to timestamptz default 'infinity',
    p_session_id uuid default null
) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_instrument_id constant integer := risk._known_instrument(p_symbol);
    v_old risk.price_bands[];
    v_now timestamptz;
    v_band_id bigint;
begin
    perform ops._audit('risk.set_price_band', p_symbol,
        jsonb_build_object('low', p_low, 'high', p_high, 'valid_from', p_valid_from, 'valid_to', p_valid_to,
            'session_id', p_session_id), p_reason);
    perform risk._require_reason(p_reason, 'a price band');
    perform risk._check_range(p_valid_from, p_valid_to);
    if p_session_id is not null and not exists (select from ops.sessions s where s.session_id = p_session_id) then
        raise exception 'session % does not exist', p_session_id using errcode = 'TT002';
    end if;
    if num_nonnulls(p_low, p_high) > 0 and (p_low > 0 and p_low < p_high and p_high < 'infinity') is not true then
        raise exception 'from % to % is no band of prices', coalesce(p_low::text, 'null'), coalesce(p_high::text, 'null')
            using errcode = 'TT001';
    end if;
    perform risk._lock_setting('price band ' || v_instrument_id || ' ' || coalesce(p_session_id::text, ''));
    v_now := clock_timestamp();
    with old as (
        update risk.price_bands b set superseded_at = v_now
        where b.instrument_id = v_instrument_id and b.session_id is not distinct from p_session_id
            and b.superseded_at = 'infinity' and b.valid_from < p_valid_to and b.valid_to > p_valid_from
        returning b)
    select array_agg(old.b) into v_old from old;
    insert into risk.price_bands (session_id, instrument_id, low, high, reason, set_by, valid_from, valid_to, recorded_at)
    select o.session_id, o.instrument_id, o.low, o.high, o.reason, o.set_by, part.valid_from, part.valid_to, v_now
    from unnest(v_old) o
    cross join lateral (values
        (o.valid_from, least(o.valid_to, p_valid_from)), (greatest(o.valid_from, p_valid_to), o.valid_to)
    ) as part (valid_from, valid_to)
    where part.valid_from < part.valid_to;
    if p_low is not null then
        insert into risk.price_bands (session_id, instrument_id, low, high, reason, valid_from, valid_to, recorded_at)
        values (p_session_id, v_instrument_id, p_low, p_high, p_reason, p_valid_from, p_valid_to, v_now)
        returning price_band_id into v_band_id;
    end if;
    return v_band_id;
end
$$;
comment on function risk.set_price_band(text, numeric, numeric, text, timestamptz, timestamptz, uuid) is
    'Sets (or, with nulls, withdraws) the prices within which an instrument may trade, of a session or (null) all, over a range of session time. Errors: TT001 unusable prices, reason or range, TT002 unknown instrument or session, TT003 isolation level.';
grant execute on function risk.set_price_band(text, numeric, numeric, text, timestamptz, timestamptz, uuid) to tsdb_risk;
