-- Refuses a scope that no limit after the trade can have: unlike an order, an account has no symbol or
-- venue. Errors: TT001 a scope of no use; TT002 an account, strategy or session that does not exist.
create or replace function risk._check_monitor_scope(p_scope jsonb)
returns void
language plpgsql
stable
as $$
declare
    v_problem text;
begin
    perform risk._check_scope(p_scope);
    if p_scope ?| array['symbol', 'venue'] then
        raise exception 'a limit after the trade is on accounts and strategies: use session_id, account, strategy'
            using errcode = 'TT001';
    end if;
    v_problem := case
        when p_scope ? 'account' and not exists (
            select from ref.accounts where account = p_scope->>'account')
            then format('account "%s" does not exist', p_scope->>'account')
        when p_scope ? 'strategy' and not exists (
            select from signal.strategies where strategy = p_scope->>'strategy')
            then format('strategy "%s" does not exist', p_scope->>'strategy')
        when p_scope ? 'session_id' and not exists (
            select from ops.sessions where session_id::text = p_scope->>'session_id')
            then format('session %s does not exist', p_scope->>'session_id')
    end;
    if v_problem is not null then
        raise exception '%', v_problem using errcode = 'TT002';
    end if;
end
$$;
comment on function risk._check_monitor_scope(jsonb) is 'Refuses unusable scopes of limits after the trade.';
