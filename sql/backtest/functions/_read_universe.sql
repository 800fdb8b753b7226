-- The instruments that a run may trade: those of a list of symbols, or the members that an index had on the day of
-- p_from; null for all. Errors: TT001 neither of them, TT002 a symbol or an index that does not exist.
create or replace function backtest._read_universe(p_universe jsonb, p_from timestamptz)
returns integer[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_indexes constant text[] := array(select distinct m.index_name from ref.index_members m order by 1);
    v_symbols text[];
    v_wrong text;
begin
    if p_universe is null or p_universe = 'null' then
        return null;
    elsif jsonb_typeof(p_universe) = 'string' then
        v_wrong := p_universe #>> '{}';
        if v_wrong <> all (v_indexes) then
            raise exception 'unknown index "%" as universe%: record its members with ref.record, or give a list of symbols',
                v_wrong, ref._did_you_mean(v_wrong, v_indexes) using errcode = 'TT002';
        elsif p_from is null then
            raise exception 'an index as universe needs p_from, the day of its members' using errcode = 'TT001';
        end if;
        return array(
            select u.instrument_id
            from ref.universe(v_wrong, (p_from at time zone 'America/New_York')::date, 'infinity') u order by 1);
    elsif jsonb_typeof(p_universe) <> 'array' or jsonb_array_length(p_universe) = 0 then
        raise exception 'universe must be a list of symbols or the name of an index' using errcode = 'TT001';
    end if;
    v_symbols := array(select jsonb_array_elements_text(p_universe));
    select u.symbol into v_wrong
    from unnest(v_symbols) with ordinality u (symbol, n)
    where not exists (select from ref.instruments i where i.symbol = u.symbol)
    order by u.n limit 1;
    if found then
        raise exception 'unknown symbol "%" in universe%', v_wrong,
            ref._did_you_mean(v_wrong, array(select i.symbol from ref.instruments i order by 1)) using errcode = 'TT002';
    end if;
    return array(select i.instrument_id from ref.instruments i where i.symbol = any (v_symbols) order by 1);
end
$$;
comment on function backtest._read_universe(jsonb, timestamptz) is 'The instruments that a run may trade.';
