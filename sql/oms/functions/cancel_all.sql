-- Cancels every live or held order of a scope in one transaction, parents before their children.
-- p_scope: as for limits and halts (session_id, account, strategy, symbol, venue, sector), and side, trader;
-- {} is everything. Returns each order found with its status, and the reason where nothing was asked
-- of its venue. The same request id again returns the orders it cancelled; without one, as a person in a
-- hurry writes it, every call is a request of its own. p_as_of: session time, if known.
-- Errors: TT001 unusable scope or no request id; TT003 isolation level; TT006 request id reused.
create or replace function oms.cancel_all(
    p_scope jsonb,
    p_request_id uuid default gen_random_uuid(),
    p_as_of timestamptz default null
) returns table (order_id bigint, status text, reasons text[])
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    perform ops._audit('oms.cancel_all', p_scope::text,
        jsonb_build_object('request_id', p_request_id, 'as_of', p_as_of));
    perform oms._require_read_committed();
    perform risk._check_scope(p_scope - array['side', 'trader']);
    if not oms._claim_request(p_request_id, 'cancel_all', p_scope::text) then
        return query
            select o.order_id, o.status, '{}'::text[] from oms.orders o
            where o.order_id in (select a.order_id from oms.order_actions a where a.request_id = p_request_id)
            order by o.order_id;
        return;
    end if;
    -- Accounts in the order all others lock them; what is submitted meanwhile waits behind the lock
    -- and is not part of "all".
    perform oms._lock_account(a.session_id, a.account)
    from (select distinct o.account, o.session_id from oms._in_scope(p_scope) o order by 1, 2) a;
    return query select c.* from oms._cancel_scope(p_scope, p_request_id, p_as_of) c;
end
$$;
comment on function oms.cancel_all(jsonb, uuid, timestamptz) is
    'Cancels every live or held order of a scope; {} is everything. Scope keys: session_id, account, strategy, symbol, venue, sector, side, trader. Idempotent by request id, if one is given. Errors: TT001 unusable scope or no request id, TT003 isolation level, TT006 request id reused.';
grant execute on function oms.cancel_all(jsonb, uuid, timestamptz) to tsdb_trader_role, tsdb_risk;
