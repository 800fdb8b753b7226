-- Refuses a scope that no limit after the trade can have: unlike an order, an account has no symbol,
-- venue or sector. Errors: TT001 a scope of no use; TT002 an account, strategy or session that does not exist.
create or replace function risk._check_monitor_scope(p_scope jsonb)
returns void
language plpgsql
stable
as $$
begin
    perform risk._check_scope(p_scope);
    if p_scope ?| array['symbol', 'venue', 'sector'] then
        raise exception 'a limit after the trade is on accounts and strategies: use session_id, account, strategy'
            using errcode = 'TT001';
    end if;
    perform risk._check_names(p_scope);
end
$$;
comment on function risk._check_monitor_scope(jsonb) is 'Refuses unusable scopes of limits after the trade.';
