-- What the close before an ex-date of an instrument is multiplied by to compare with the close on it, from
-- p_from, excluded, to p_to. Where that cannot be known the factor is null, with the problem.
create or replace function risk._return_factors(p_instrument_id integer, p_from date, p_to date, p_feed text)
returns table (ex_date date, factor numeric, problem text)
language plpgsql
stable
as $$
#variable_conflict use_column
begin
    return query
        select a.ex_date, round(1.0, 24) * a.old_shares * a.kept / (a.new_shares * a.whole), null::text
        from market._daily_actions(p_instrument_id, p_from, p_to, 'infinity', 'all', p_feed, 'vendor') a;
exception
    when sqlstate 'TT001' then
        -- It is not said which fact cannot be used, so no ex-date of the range has a return.
        return query
            select f.ex_date, null::numeric, sqlerrm
            from risk._return_facts f
            where f.instrument_id = p_instrument_id and f.ex_date > p_from and f.ex_date <= p_to;
end
$$;
comment on function risk._return_factors(integer, date, date, text) is
    'Factors by which corporate actions change the close before.';
