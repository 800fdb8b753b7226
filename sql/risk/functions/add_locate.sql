-- Records that a provider has located shares for short sales of an account on a trading date. The same account,
-- instrument, date, provider and reference again is the same locate. Returns its id.
-- Errors: TT001 a quantity, date, provider or reference of no use; TT002 unknown account or instrument; TT006 the
-- reference was recorded with another quantity.
create or replace function risk.add_locate(
    p_account text, p_symbol text, p_trading_date date, p_quantity numeric, p_provider text, p_reference text
) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_instrument_id constant integer := risk._known_instrument(p_symbol);
    v_found risk.locates;
begin
    perform ops._audit('risk.add_locate', p_account,
        jsonb_build_object('symbol', p_symbol, 'trading_date', p_trading_date, 'quantity', p_quantity,
            'provider', p_provider, 'reference', p_reference));
    if risk._known_account(p_account) is null then
        raise exception 'a locate is for an account' using errcode = 'TT001';
    end if;
    if (p_quantity > 0 and p_quantity < 'infinity') is not true then
        raise exception 'quantity % is not a positive number', coalesce(p_quantity::text, 'null') using errcode = 'TT001';
    end if;
    if (p_trading_date > '-infinity' and p_trading_date < 'infinity') is not true then
        raise exception 'a locate is for a trading date' using errcode = 'TT001';
    end if;
    if coalesce(trim(p_provider), '') = '' or coalesce(trim(p_reference), '') = '' then
        raise exception 'a locate names its provider and the provider''s reference' using errcode = 'TT001';
    end if;
    insert into risk.locates (account, instrument_id, trading_date, quantity, provider, reference)
    values (p_account, v_instrument_id, p_trading_date, p_quantity, p_provider, p_reference)
    on conflict (account, instrument_id, trading_date, provider, reference) where withdrawn_at is null do nothing
    returning * into v_found;
    if v_found.locate_id is null then
        select * into v_found from risk.locates l
        where l.account = p_account and l.instrument_id = v_instrument_id and l.trading_date = p_trading_date
            and l.provider = p_provider and l.reference = p_reference and l.withdrawn_at is null;
        if v_found.quantity <> p_quantity then
            raise exception 'locate "%" of % is for %: withdraw it first', p_reference, p_provider, trim_scale(v_found.quantity)
                using errcode = 'TT006';
        end if;
    end if;
    return v_found.locate_id;
end
$$;
comment on function risk.add_locate(text, text, date, numeric, text, text) is
    'Records shares located for short sales of an account on a trading date; idempotent by provider and reference. Errors: TT001 unusable value, TT002 unknown account or instrument, TT006 recorded with another quantity.';
grant execute on function risk.add_locate(text, text, date, numeric, text, text) to tsdb_risk;
