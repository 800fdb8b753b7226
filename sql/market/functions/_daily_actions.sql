-- The corporate actions that change an instrument's past prices: those with an ex-date from p_from,
-- excluded, to p_to, as known at p_known_at, one row per ex-date.
--
-- new_shares for old_shares; of a share worth whole, kept is left: 1 - paid / the last close before
-- the ex-date for cash and for spin-offs with a value, and close / (close + child's close * ratio),
-- both of the ex-date, for spin-offs without one. Actions before the first bar adjust nothing and
-- are left out.
-- p_adjust: splits; capital (splits and spin-offs); all (and dividends); none.
-- Raises TT001 where a factor cannot be known: paid in another currency than the prices', a
-- spun-off share without a price, no less paid than a share was worth.
create or replace function market._daily_actions(
    p_instrument_id integer, p_from date, p_to date, p_known_at timestamptz, p_adjust text,
    p_feed text, p_bars text
)
returns table (
    ex_date date, new_shares numeric, old_shares numeric, kept numeric, whole numeric
)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    v_action record;
begin
    -- A loop, so that what cannot be used can be named.
    for v_action in
        with bars as materialized (
            select b.date, b.close
            from market._daily_bars(p_instrument_id, p_from, p_to, p_feed, p_bars) b
            where b.close is not null
        ),
        spin_offs as (
            select s.ex_date, s.value, s.currency, s.child, s.ratio * c.close as handed
            from ref.spin_offs s
            left join lateral market._daily_bars(
                s.child_instrument_id, s.ex_date, s.ex_date, p_feed, p_bars) c
                on s.value is null
            where s.instrument_id = p_instrument_id and p_adjust in ('all', 'capital')
                and ref._known(s.known_at, s.superseded_at, p_known_at)
                and s.ex_date > p_from and s.ex_date <= p_to
        ),
        payments as (
            select d.ex_date, d.amount, 0 as handed, d.currency, null as unpriced
            from ref.dividends d
            where d.instrument_id = p_instrument_id and p_adjust = 'all'
                and ref._known(d.known_at, d.superseded_at, p_known_at)
            union all
            select s.ex_date, coalesce(s.value, 0), coalesce(s.handed, 0), s.currency,
                   case when s.value is null and s.handed is null then s.child end
            from spin_offs s
        ),
        paid as (
            select p.ex_date, sum(p.amount) as amount, sum(p.handed) as handed,
                   min(p.unpriced) as unpriced, min(i.currency) as currency,
                   min(p.currency) filter (where p.currency <> i.currency) as foreign_currency
            from payments p
            join ref.instruments i on i.instrument_id = p_instrument_id
            group by p.ex_date
        ),
        splits as (
            select s.ex_date, s.new_shares, s.old_shares
            from ref.splits s
            where s.instrument_id = p_instrument_id and p_adjust <> 'none'
                and ref._known(s.known_at, s.superseded_at, p_known_at)
        )
        select ex_date, coalesce(s.new_shares, 1) as new_shares,
               coalesce(s.old_shares, 1) as old_shares, coalesce(p.amount, 0) as amount,
               coalesce(p.handed, 0) as handed, p.foreign_currency, p.currency,
               case when p.handed > 0 and o.close is null then 'the instrument itself'
                    else p.unpriced end as unpriced,
               l.close as last_close, coalesce(o.close, 1) as ex_close
        from splits s
        full join paid p using (ex_date)
        cross join lateral (
            select b.close from bars b where b.date < ex_date order by b.date desc limit 1) l
        left join bars o on o.date = ex_date
        where ex_date > p_from and ex_date <= p_to
    loop
        if v_action.unpriced is not null then
            raise exception 'instrument %: no close on %, the ex-date of its spin-off, of %: record the value of the spin-off, or load the bars',
                p_instrument_id, v_action.ex_date, v_action.unpriced using errcode = 'TT001';
        elsif v_action.foreign_currency is not null then
            raise exception 'instrument %, %: paid in %, prices are in %: record the amount in %',
                p_instrument_id, v_action.ex_date, v_action.foreign_currency, v_action.currency,
                v_action.currency using errcode = 'TT001';
        elsif v_action.amount >= v_action.last_close then
            raise exception 'instrument %, %: % paid on a share worth %: see ref.dividends and ref.spin_offs',
                p_instrument_id, v_action.ex_date, v_action.amount, v_action.last_close
                using errcode = 'TT001';
        end if;
        return query
        select v_action.ex_date, v_action.new_shares, v_action.old_shares,
               (v_action.last_close - v_action.amount) * v_action.ex_close,
               v_action.last_close * (v_action.ex_close + v_action.handed);
    end loop;
end
$$;
grant execute on function market._daily_actions(
    integer, date, date, timestamptz, text, text, text) to tsdb_reader;
