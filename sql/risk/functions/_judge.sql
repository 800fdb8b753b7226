-- The measures of an account or strategy that have a limit, with the tightest soft and hard one. An
-- account's limits are those that name no strategy. value is null where the measure is unknown; problem is why,
-- null where it is the trading day that is not known.
create or replace function risk._judge(p_figures risk.figures, p_as_of timestamptz)
returns table (measure text, value numeric, soft numeric, hard numeric, problem text)
language plpgsql
stable
as $$
declare
    v_scope constant jsonb := risk._monitor_scope(p_figures);
begin
    return query
    select m.measure, m.value, l.soft, l.hard,
        case when m.value is null then case m.measure when 'var' then p_figures.var_problem else p_figures.problem end end
    from (values
        ('daily_loss', p_figures.opening_pnl - p_figures.total_pnl),
        ('drawdown', p_figures.high_water - p_figures.total_pnl),
        ('gross_exposure', p_figures.gross_exposure),
        ('net_exposure', p_figures.net_exposure),
        ('concentration', p_figures.concentration),
        ('sector_concentration', p_figures.sector_concentration),
        ('var', p_figures.var),
        ('mark_age', p_figures.mark_age)) as m (measure, value)
    join (
        select x.measure, min(x.soft) as soft, min(x.hard) as hard
        from risk.monitor_limits x
        where x.superseded_at = 'infinity' and p_as_of >= x.valid_from and p_as_of < x.valid_to
            and v_scope @> x.scope and (x.scope ? 'strategy') = (p_figures.strategy_id <> 0)
        group by x.measure) l using (measure);
end
$$;
comment on function risk._judge(risk.figures, timestamptz) is 'Measures and the limits that bind them.';
