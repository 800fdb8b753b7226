-- The kill switch: in one transaction halts a scope ({} is everything) and cancels every working and held order of
-- it, in all sessions and at all venues, and records both as one decision in risk.kills. It stands here, because it
-- calls the order path, which calls risk and never the other way round. An order submitted meanwhile is either in
-- before, and cancelled, or judged after, and denied: the accounts of the scope are locked until the commit.
-- Cancels wait in the outbox of a venue that cannot be reached. To be called in a transaction of its own.
-- Returns each order found with its status, and the reason where nothing was asked of its venue. The same request
-- id again returns them as they are now. p_as_of: session time, if known. The halt is lifted by risk.resume.
-- Errors: TT001 unusable scope or reason, no request id; TT002 a name in the scope that does not exist; TT003
-- isolation level; TT006 request id reused.
create or replace function oms.kill(
    p_scope jsonb,
    p_reason text,
    p_request_id uuid default gen_random_uuid(),
    p_as_of timestamptz default null
) returns table (order_id bigint, status text, reasons text[])
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_halt_id bigint;
    v_found bigint[];
    v_cancelled bigint[];
begin
    perform ops._audit('oms.kill', p_scope::text,
        jsonb_build_object('request_id', p_request_id, 'as_of', p_as_of), p_reason);
    perform oms._require_read_committed();
    perform risk._check_scope(p_scope);
    perform risk._check_names(p_scope);
    perform risk._require_reason(p_reason, 'the kill switch');
    if not oms._claim_request(p_request_id, 'kill', p_scope::text || p_reason) then
        return query
            select o.order_id, o.status, '{}'::text[]
            from risk.kills k join oms.orders o on o.order_id = any (k.orders_found)
            where k.request_id = p_request_id
            order by o.order_id;
        return;
    end if;
    -- All accounts where the scope names none: any may have an order of it under way.
    perform oms._lock_out(a.account)
    from (
        select c.account from ref.accounts c
        where c.account = coalesce(p_scope->>'account', c.account) order by c.account) a;
    v_halt_id := risk.set_state(p_scope, 'halted', p_reason);
    for order_id, status, reasons in select c.* from oms._cancel_scope(p_scope, p_request_id, p_as_of) c loop
        v_found := v_found || order_id;
        if reasons = '{}' then
            v_cancelled := v_cancelled || order_id;
        end if;
        return next;
    end loop;
    insert into risk.kills (request_id, scope, reason, halt_id, as_of, orders_found, orders_cancelled)
    values (p_request_id, p_scope, p_reason, v_halt_id, p_as_of, coalesce(v_found, '{}'), coalesce(v_cancelled, '{}'));
end
$$;
comment on function oms.kill(jsonb, text, uuid, timestamptz) is
    'The kill switch: halts a scope and cancels every working and held order of it, in all sessions, in one transaction. Scope keys: session_id, account, strategy, symbol, venue, sector; {} is everything. Idempotent by request id, if one is given. Errors: TT001 unusable scope or reason, TT002 a name that does not exist, TT003 isolation level, TT006 request id reused.';
grant execute on function oms.kill(jsonb, text, uuid, timestamptz) to tsdb_risk, tsdb_worker_risk;
