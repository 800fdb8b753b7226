-- Books cash that no execution and no corporate action explains. p_amount is what the account receives,
-- negative what it pays, in p_currency. p_kind: deposit, withdrawal and transfer move capital; funding,
-- interest, fee, dividend, cash_in_lieu, conversion and correction are P&L, of a position if p_strategy
-- and p_symbol name one. A dividend or cash in lieu here is what corrects the one that is derived from
-- ref. p_as_of: session time; p_trade_date: its date in UTC by default.
-- Idempotent by (session, account, p_reference): the same again, at whatever time of its trade date, returns
-- the same entry.
-- Errors: TT001 an entry of no use; TT002 an unknown name; TT006 the reference has another entry.
create or replace function portfolio.book_cash(
    p_session_id uuid,
    p_account text,
    p_kind text,
    p_currency text,
    p_amount numeric,
    p_as_of timestamptz,
    p_reference text,
    p_strategy text default null,
    p_symbol text default null,
    p_trade_date date default null,
    p_reason text default ''
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_entry portfolio._cash_entries;
    v_old portfolio._cash_entries;
begin
    perform ops._audit('portfolio.book_cash', p_session_id::text,
        jsonb_build_object('account', p_account, 'kind', p_kind, 'currency', p_currency, 'amount', p_amount,
            'as_of', p_as_of, 'reference', p_reference, 'strategy', p_strategy, 'symbol', p_symbol,
            'trade_date', p_trade_date), p_reason);
    v_entry.session_id := p_session_id;
    v_entry.account := p_account;
    v_entry.kind := p_kind;
    v_entry.currency := p_currency;
    v_entry.amount := p_amount;
    v_entry.ts := p_as_of;
    v_entry.reference := p_reference;
    v_entry.trade_date := coalesce(p_trade_date, (p_as_of at time zone 'UTC')::date);
    v_entry.reason := coalesce(p_reason, '');
    if p_strategy is not null then
        select s.strategy_id into v_entry.strategy_id from signal.strategies s where s.strategy = p_strategy;
        if not found then
            raise exception 'unknown strategy %', p_strategy using errcode = 'TT002';
        end if;
    end if;
    if p_symbol is not null then
        v_entry.instrument_id := ref.instrument_id(p_symbol);
    end if;
    -- One at a time, so that of two with the same reference the second finds the first.
    perform oms._lock_account(p_session_id, p_account);
    select c.* into v_old from portfolio._cash_entries c
    where c.session_id = p_session_id and c.account = p_account and c.reference = p_reference;
    if found then
        if (v_old.kind, v_old.currency, v_old.amount, v_old.trade_date, v_old.strategy_id, v_old.instrument_id)
            is distinct from (v_entry.kind, v_entry.currency, v_entry.amount, v_entry.trade_date,
                v_entry.strategy_id, v_entry.instrument_id) then
            raise exception 'reference "%" of account % has another entry: %', p_reference, p_account,
                v_old.entry_id using errcode = 'TT006';
        end if;
        return v_old.entry_id;
    end if;
    insert into portfolio._cash_entries (session_id, account, strategy_id, instrument_id, kind, currency,
        amount, trade_date, ts, reference, reason)
    values (v_entry.session_id, v_entry.account, v_entry.strategy_id, v_entry.instrument_id, v_entry.kind,
        v_entry.currency, v_entry.amount, v_entry.trade_date, v_entry.ts, v_entry.reference, v_entry.reason)
    returning entry_id into v_entry.entry_id;
    return v_entry.entry_id;
exception
    when foreign_key_violation then
        raise exception 'no session %, account % or currency %', p_session_id, p_account, p_currency
            using errcode = 'TT002';
    when check_violation or not_null_violation then
        raise exception 'cash entry "%" (% of % %) cannot be: %', p_reference, p_kind, p_amount, p_currency, sqlerrm
            using errcode = 'TT001';
end
$$;
comment on function portfolio.book_cash(
    uuid, text, text, text, numeric, timestamptz, text, text, text, date, text) is
    'Books a deposit, withdrawal, funding, interest or the like; idempotent by reference; returns the entry.';
grant execute on function portfolio.book_cash(
    uuid, text, text, text, numeric, timestamptz, text, text, text, date, text)
    to tsdb_worker_scheduler, tsdb_ops;
