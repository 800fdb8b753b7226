-- Pairs and instances of other strategies that are pinned to sessions.
create or replace view signal._bound as
select sp.session_id, sp.pair_id, sp.account, sp.digest from signal.session_pairs sp
union all
select si.session_id, si.instance_id, si.account, si.digest from signal.session_instances si;
comment on view signal._bound is 'Pairs and instances pinned to sessions.';
