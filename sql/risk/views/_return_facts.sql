-- The corporate actions that stand, by what a day's return needs of them.
create or replace view risk._return_facts as
select s.instrument_id, s.ex_date from ref.splits s where s.superseded_at = 'infinity'
union
select d.instrument_id, d.ex_date from ref.dividends d where d.superseded_at = 'infinity'
union
select o.instrument_id, o.ex_date from ref.spin_offs o where o.superseded_at = 'infinity';
comment on view risk._return_facts is 'Ex-dates of the corporate actions that stand.';
