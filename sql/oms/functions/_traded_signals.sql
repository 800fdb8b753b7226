-- The signals of a batch that are to be traded, with the account they trade in.
create or replace function oms._traded_signals(p_batch_id bigint)
returns table (account text, signal signal.signals)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(b.account, f.account), g
    from market.batches m
    join signal.signals g on g.batch_id = m.batch_id and g.session_id = m.session_id and g.as_of = m.as_of
    left join signal._bound b on b.session_id = g.session_id and b.pair_id = g.pair_id
    left join signal.portfolios f
        on g.pair_id is null and f.session_id = g.session_id and f.strategy_id = g.strategy_id
    where m.batch_id = p_batch_id and g.traded and coalesce(b.account, f.account) is not null
$$;
comment on function oms._traded_signals(bigint) is 'The signals of a batch that are to be traded, with their accounts.';
