-- Puts an instrument on the restricted list over a range of session time. p_account null: of every account. p_side:
-- buy, sell (every sale), sell_short (those alone) or null for both. Returns the restriction's id.
-- Errors: TT001 a side, reason or range of no use; TT002 unknown instrument or account.
create or replace function risk.restrict(
    p_symbol text,
    p_reason text,
    p_account text default null,
    p_side text default null,
    p_valid_from timestamptz default '-infinity',
    p_valid_to timestamptz default 'infinity'
) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_restriction_id bigint;
begin
    perform ops._audit('risk.restrict', p_symbol,
        jsonb_build_object('account', p_account, 'side', p_side, 'valid_from', p_valid_from,
            'valid_to', p_valid_to), p_reason);
    perform risk._require_reason(p_reason, 'a restriction');
    perform risk._check_range(p_valid_from, p_valid_to);
    if p_side not in ('buy', 'sell', 'sell_short') then
        raise exception 'side "%" is none of buy, sell, sell_short', p_side using errcode = 'TT001';
    end if;
    insert into risk.restrictions (account, instrument_id, side, reason, valid_from, valid_to)
    values (risk._known_account(p_account), risk._known_instrument(p_symbol), p_side, p_reason, p_valid_from, p_valid_to)
    returning restriction_id into v_restriction_id;
    return v_restriction_id;
end
$$;
comment on function risk.restrict(text, text, text, text, timestamptz, timestamptz) is
    'Puts an instrument on the restricted list, of an account or (null) all, for a side or (null) both, over a range of session time. Errors: TT001 unusable side, reason or range, TT002 unknown instrument or account.';
grant execute on function risk.restrict(text, text, text, text, timestamptz, timestamptz) to tsdb_risk;
