-- Resolves an open break, with its audit row.
create or replace function oms._close_break(
    p_break_id bigint,
    p_action text,
    p_reason text,
    p_by text,
    p_detail jsonb default '{}'
) returns void
language plpgsql
as $$
begin
    update oms.breaks set resolved_at = clock_timestamp(), resolved_by = p_by, resolution = p_action || ': ' || p_reason
    where break_id = p_break_id and resolved_at is null;
    if found then
        insert into oms.break_audit (break_id, action, reason, done_by, detail)
        values (p_break_id, p_action, p_reason, p_by, p_detail);
    end if;
end
$$;
comment on function oms._close_break(bigint, text, text, text, jsonb) is 'Resolves a break, with its audit row.';
