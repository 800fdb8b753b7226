-- What an execution costs on a day, in the currency of the venue's fees; below zero it is a rebate.
--
-- p_side: buy or sell; p_liquidity: maker or taker. Of each named fee the most specific row counts
-- (side before liquidity), and fees of several names add up. A venue without any fee that is valid
-- then costs its own fee_per_share. Raises TT002 for an unknown venue, TT001 for other input that
-- cannot be, and for fees in several currencies.
create or replace function ref.fee(
    p_venue text, p_side text, p_liquidity text, p_quantity numeric, p_price numeric, p_at date,
    p_known_at timestamptz default 'infinity'
)
returns numeric
language plpgsql
stable
parallel safe
as $$
declare
    v_fee_per_share numeric;
    v_fee numeric;
    v_currencies integer;
begin
    if not coalesce(p_side in ('buy', 'sell') and p_liquidity in ('maker', 'taker')
        and p_quantity >= 0 and p_quantity < 'infinity' and abs(p_price) < 'infinity'
        and isfinite(p_at), false)
    then
        raise exception 'no fee for % % of % at % on %: see ref.fee', p_liquidity, p_side,
            p_quantity, p_price, p_at using errcode = 'TT001';
    end if;
    select v.fee_per_share into v_fee_per_share from ref.venues v where v.venue = p_venue;
    if not found then
        raise exception 'unknown venue %', coalesce(p_venue, 'null') using errcode = 'TT002';
    end if;
    with binding as (
        select distinct on (f.fee) f.*
        from ref.fees f
        where f.venue = p_venue and f.side in (p_side, 'any')
            and f.liquidity in (p_liquidity, 'any')
            and f.valid_from <= p_at and p_at < f.valid_to
            and ref._known(f.known_at, f.superseded_at, p_known_at)
        order by f.fee, f.side = 'any', f.liquidity = 'any'
    )
    -- greatest and least ignore nulls.
    select sum(greatest(b.minimum, least(b.maximum,
               b.per_share * p_quantity + b.basis_points / 10000 * p_quantity * abs(p_price)))),
           count(distinct b.currency)
    into v_fee, v_currencies
    from binding b;
    if v_currencies > 1 then
        raise exception 'fees of % on % are in several currencies', p_venue, p_at
            using errcode = 'TT001';
    end if;
    return coalesce(v_fee, v_fee_per_share * p_quantity);
end
$$;
comment on function ref.fee(text, text, text, numeric, numeric, date, timestamptz) is
    'What an execution costs at a venue on a day, as known at a time; below zero it is a rebate.';
grant execute on function ref.fee(text, text, text, numeric, numeric, date, timestamptz) to tsdb_reader;
