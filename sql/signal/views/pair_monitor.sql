-- What a trader watches: every pair of every session, where its spread stands and what it holds.
create or replace view signal.pair_monitor as
select
    s.session_id, s.name as session, s.status, sp.pair_id, sp.account,
    a.symbol as symbol_a, b.symbol as symbol_b,
    (ps.state).as_of, (ps.state).z_score, (ps.state).target, (ps.state).quantity_a, (ps.state).quantity_b,
    (p.parameters).exit, (p.parameters).entry, (p.parameters).stop,
    (ps.state).spread, (ps.state).mean, (p.parameters).deviation,
    (ps.state).warm_since is not null as warming_up, (ps.state).stopped <> 0 as stopped, ps.batch_no,
    (ps.state).entered_at, (ps.state).entered_at + (p.parameters).max_holding_s * interval '1 s' as exit_due_at,
    (ps.state).closed_at + (p.parameters).cool_down_s * interval '1 s' as cooling_until,
    e.message as error,
    array_remove(array[
        case when a.status <> 'active' then a.symbol || ' is ' || a.status end,
        case when b.status <> 'active' then b.symbol || ' is ' || b.status end], null) as blocked_by,
    (ps.state).quantity_a * (ps.state).mid_a as value_a,
    (ps.state).quantity_b * (ps.state).mid_b as value_b
from signal.session_pairs sp
join ops.sessions s on s.session_id = sp.session_id
join signal.pairs p on p.pair_id = sp.pair_id
join ref.instruments a on a.instrument_id = p.instrument_a
join ref.instruments b on b.instrument_id = p.instrument_b
left join signal.pair_states ps on ps.session_id = sp.session_id and ps.pair_id = sp.pair_id
left join signal.strategy_errors e on e.session_id = sp.session_id and e.instance_id = sp.pair_id;
comment on view signal.pair_monitor is
    'Every pair of every session: z-score, target and quantities against its thresholds; time stop, cool-down, legs that are not active, and the error that stopped it, if any.';
