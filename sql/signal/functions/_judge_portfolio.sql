-- Why a portfolio may not go from net quantities p_net to p_next (by place in p_input.instruments),
-- which change at p_places; null if it may. See signal.step_portfolio.
-- plpgsql, because a function in language sql is planned again at every call.
create or replace function signal._judge_portfolio(
    p_net bigint[],
    p_next bigint[],
    p_places integer[],
    p_input signal.portfolio_input,
    p_parameters signal.portfolio_parameters
)
returns text
language plpgsql
immutable
parallel safe
as $$
begin
    return (
        with held as materialized (
            select i.mid, i.sector, i.beta, i.place = any (p_places) as concerned, i.net, i.next,
                   i.net * i.mid as value, i.next * i.mid as value_next
            from unnest(p_input.mids, p_input.sectors, p_input.betas, p_net, p_next)
                with ordinality i (mid, sector, beta, net, next, place)
            where i.net <> 0 or i.next <> 0
        ),
        -- Sums in a fixed order: the same bits wherever they are computed.
        totals as (
            select sum(abs(h.value)) as gross, sum(abs(h.value_next)) as gross_next,
                   sum(h.beta * h.value) as market, sum(h.beta * h.value_next) as market_next,
                   bool_or(h.mid is null) as unpriced,
                   bool_or(h.sector is null and h.concerned) as unsorted,
                   bool_or(h.beta is null) as unmeasured
            from held h
        ),
        sectors as (
            select h.sector from held h
            group by h.sector
            having bool_or(h.concerned) and abs(sum(h.value_next)) > p_parameters.max_sector_net
                and abs(sum(h.value_next)) > abs(sum(h.value))
        )
        select case
            when t.unpriced then 'no price'
            when t.gross_next > p_parameters.max_gross and t.gross_next > t.gross then 'gross'
            when p_parameters.max_sector_net is not null and t.unsorted then 'no sector'
            when exists (select from sectors) then 'sector ' || (select min(s.sector collate "C") from sectors s)
            when p_parameters.max_market_net is not null and t.unmeasured then 'no beta'
            when abs(t.market_next) > p_parameters.max_market_net and abs(t.market_next) > abs(t.market) then 'market'
        end
        from totals t);
end
$$;
comment on function signal._judge_portfolio(
    bigint[], bigint[], integer[], signal.portfolio_input, signal.portfolio_parameters) is
    'Which constraint of a portfolio a change of net quantities breaks; null if none.';
grant execute on function signal._judge_portfolio(
    bigint[], bigint[], integer[], signal.portfolio_input, signal.portfolio_parameters) to tsdb_reader;
