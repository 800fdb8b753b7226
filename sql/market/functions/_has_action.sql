-- Whether an instrument has a split, dividend or spin-off with this ex-date, as known now.
create or replace function market._has_action(p_instrument_id integer, p_date date)
returns boolean
language sql
stable
begin atomic
    select exists (
        select from ref.splits s
        where s.instrument_id = p_instrument_id and s.ex_date = p_date
            and s.superseded_at = 'infinity')
    or exists (
        select from ref.dividends d
        where d.instrument_id = p_instrument_id and d.ex_date = p_date
            and d.superseded_at = 'infinity')
    or exists (
        select from ref.spin_offs s
        where s.instrument_id = p_instrument_id and s.ex_date = p_date
            and s.superseded_at = 'infinity');
end;
grant execute on function market._has_action(integer, date) to tsdb_reader;
