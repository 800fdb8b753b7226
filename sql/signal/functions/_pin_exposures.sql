-- Pins sector and beta of every instrument of a session's portfolios, as they are at its start.
-- Errors: TT001 an instance that trades in another account than its strategy's portfolio.
create or replace function signal._pin_exposures(p_session_id uuid)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_start timestamptz;
    v_wrong record;
begin
    select coalesce(s.from_ts, s.opened_at) into v_start from ops.sessions s where s.session_id = p_session_id;
    select b.pair_id, b.account, f.account as expected into v_wrong
    from signal.portfolios f
    join signal._bound b on b.session_id = f.session_id
    join signal._tradables t on t.pair_id = b.pair_id and t.strategy_id = f.strategy_id
    where f.session_id = p_session_id and b.account <> f.account
    order by b.pair_id limit 1;
    if v_wrong.pair_id is not null then
        raise exception 'pair % trades in account "%", its strategy''s portfolio in "%"', v_wrong.pair_id,
            v_wrong.account, v_wrong.expected using errcode = 'TT001';
    end if;
    insert into signal.portfolio_instruments as p (session_id, strategy_id, instrument_id, sector, beta)
    select p_session_id, l.strategy_id, l.instrument_id, x.sector, x.beta
    from (
        select distinct f.strategy_id, u.instrument_id
        from signal.portfolios f
        join signal._bound b on b.session_id = f.session_id
        join signal._tradables t on t.pair_id = b.pair_id and t.strategy_id = f.strategy_id
        cross join lateral unnest(t.instruments) u (instrument_id)
        where f.session_id = p_session_id) l
    cross join lateral signal.read_exposures(array[l.instrument_id], v_start) x
    on conflict (session_id, strategy_id, instrument_id) do update
        set sector = excluded.sector, beta = excluded.beta;
end
$$;
comment on function signal._pin_exposures(uuid) is
    'Pins sector and beta of every instrument of a session''s portfolios.';
