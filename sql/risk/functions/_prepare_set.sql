-- Prepares the history of given dates for who counts in a currency, unless it is there; returns its set. The watermark
-- is when the newest of the returns, and of the rates they are converted by, was written.
create or replace function risk._prepare_set(
    p_settings risk.var_settings,
    p_dates date[],
    p_known_at timestamptz,
    p_currency text,
    p_as_of timestamptz
)
returns bigint
language plpgsql
as $$
declare
    v_first constant date := p_dates[1];
    v_last constant date := p_dates[cardinality(p_dates)];
    v_watermark timestamptz;
    v_instruments integer;
    v_set_id bigint;
begin
    select max(r.recorded_at), count(distinct r.instrument_id) into v_watermark, v_instruments
    from risk.returns r where r.date between v_first and v_last;
    select greatest(v_watermark, max(f.recorded_at), max(f.superseded_at) filter (where f.superseded_at <= p_as_of))
    into v_watermark
    from ref.fx_rates f
    where p_currency in (f.base_currency, f.quote_currency) and f.known_at <= p_as_of
        and f.date between v_first - 1 - p_settings.max_rate_age and v_last;
    select s.set_id into v_set_id from risk._return_sets s
    where s.settings_id = p_settings.settings_id and s.currency = p_currency and s.dates = p_dates
        and s.watermark = v_watermark and s.instruments = v_instruments;
    if found then
        return v_set_id;
    end if;
    delete from risk._return_sets s
    where s.currency = p_currency and s.dates[cardinality(s.dates)] = v_last
        or s.built_at < clock_timestamp() - interval '30 days';
    insert into risk._return_sets (settings_id, currency, dates, known_at, watermark, instruments)
    values (p_settings.settings_id, p_currency, p_dates, p_known_at, v_watermark, v_instruments)
    returning set_id into v_set_id;
    insert into risk._windows (set_id, instrument_id, packed, returns, gaps, reason)
    select v_set_id, w.instrument_id, case when w.reason is null then risk._pack(w.returns) end,
        case when w.reason is null then w.returns end, w.gaps, w.reason
    from risk._converted_returns(p_dates, p_settings, p_currency, p_as_of) w;
    analyze risk._windows;
    return v_set_id;
end
$$;
comment on function risk._prepare_set(risk.var_settings, date[], timestamptz, text, timestamptz) is
    'Prepares the history of given dates for who counts in a currency.';
