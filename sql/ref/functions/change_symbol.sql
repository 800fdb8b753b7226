-- Gives an instrument a new symbol from a day on; it keeps its instrument_id, and its ticks.
--
-- p_symbol: the one it had the day before. p_from may not lie in the future: files of before still
-- bring the old one. Returns the instrument_id. Raises TT002 for an unknown symbol, TT006 when
-- another instrument has the new one then.
create or replace function ref.change_symbol(
    p_symbol text, p_new_symbol text, p_from date, p_known_at timestamptz default null
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id integer := ref.instrument_id(p_symbol, p_from - 1);
    v_since date;
begin
    if p_from > current_date then
        raise exception '% changes to % only on %: call this then', p_symbol, p_new_symbol, p_from
            using errcode = 'TT001';
    end if;
    select coalesce(max(s.valid_from), '-infinity') into v_since
    from ref.symbols s
    where s.instrument_id = v_id and s.symbol = p_symbol and s.valid_from < p_from
        and s.superseded_at = 'infinity';
    perform ref.record('symbols', jsonb_build_object(
        'instrument_id', v_id, 'symbol', p_symbol, 'valid_from', v_since, 'valid_to', p_from),
        p_known_at);
    perform ref.record('symbols', jsonb_build_object(
        'instrument_id', v_id, 'symbol', p_new_symbol, 'valid_from', p_from), p_known_at);
    update ref.instruments set symbol = p_new_symbol where instrument_id = v_id;
    return v_id;
exception
    when unique_violation then
        raise exception 'symbol % is the name of another instrument: change that first',
            p_new_symbol using errcode = 'TT006';
    when check_violation then
        raise exception 'symbol % cannot be one', p_new_symbol using errcode = 'TT001';
end
$$;
comment on function ref.change_symbol(text, text, date, timestamptz) is
    'Gives an instrument a new symbol from a day on; it keeps its instrument_id.';
grant execute on function ref.change_symbol(text, text, date, timestamptz) to tsdb_ops;
