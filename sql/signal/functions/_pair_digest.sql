-- Hash of everything that decides what a pair does: legs and parameters, in binary form, so that
-- no display setting changes it.
create or replace function signal._pair_digest(p_pair signal.pairs)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select md5(int4send(p_pair.strategy_id) || int4send(p_pair.instrument_a)
        || int4send(p_pair.instrument_b) || record_send(p_pair.parameters))
$$;
comment on function signal._pair_digest(signal.pairs) is 'Hash of a pair''s legs and parameters.';
