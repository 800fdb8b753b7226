-- What a person watches: the current version of every rule, and how it did in each session.
create or replace view signal.rule_monitor as
select r.rule, r.version, r.enabled, r.description, s.session_id, o.name as session, s.first_batch_no, s.last_batch_no,
       s.ended_by, s.matches, s.errors,
       (select count(*) from signal.rule_states t where t.session_id = s.session_id and t.rule_id = r.rule_id) as keys
from signal.rules r
left join signal.rule_spans s on s.rule_id = r.rule_id
left join ops.sessions o on o.session_id = s.session_id
where r.superseded_at = 'infinity';
comment on view signal.rule_monitor is 'The current version of every rule, and where and how it was evaluated.';
grant select on signal.rule_monitor to tsdb_reader;
