-- What a trader watches: every pair of every session, where its spread stands and what it holds.
create or replace view signal.pair_monitor as
select
    s.session_id, s.name as session, s.status, sp.pair_id, sp.account,
    a.symbol as symbol_a, b.symbol as symbol_b,
    (ps.state).as_of, (ps.state).z_score, (ps.state).target, (ps.state).quantity_a, (ps.state).quantity_b,
    (p.parameters).exit, (p.parameters).entry, (p.parameters).stop,
    (ps.state).spread, (ps.state).mean, (p.parameters).deviation,
    (ps.state).warm_since is not null as warming_up, (ps.state).stopped <> 0 as stopped, ps.batch_no
from signal.session_pairs sp
join ops.sessions s on s.session_id = sp.session_id
join signal.pairs p on p.pair_id = sp.pair_id
join ref.instruments a on a.instrument_id = p.instrument_a
join ref.instruments b on b.instrument_id = p.instrument_b
left join signal.pair_states ps on ps.session_id = sp.session_id and ps.pair_id = sp.pair_id;
comment on view signal.pair_monitor is
    'Every pair of every session: z-score, target and quantities against its thresholds.';
