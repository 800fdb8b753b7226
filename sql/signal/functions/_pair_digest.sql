-- Hash of everything that decides what a pair does: legs and parameters, in binary form, so that
-- no display setting changes it. Parameters that came later count only where they are set: pairs
-- without them keep the digest they were pinned with.
create or replace function signal._pair_digest(p_pair signal.pairs)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select md5(int4send(p_pair.strategy_id) || int4send(p_pair.instrument_a)
        || int4send(p_pair.instrument_b)
        || case when num_nonnulls(p.max_holding_s, p.cool_down_s) > 0 then record_send(p_pair.parameters)
           else record_send(row(p.hedge_ratio, p.mean, p.deviation, p.entry, p.exit, p.stop, p.half_life_s,
                                p.warm_up_s, p.max_gap_s, p.notional))
           end)
    from (select (p_pair.parameters).*) p
$$;
comment on function signal._pair_digest(signal.pairs) is 'Hash of a pair''s legs and parameters.';
