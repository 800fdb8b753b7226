-- Records that a person called a function that changes something: one row of ops.audit, in the
-- transaction that changes it, so that neither is there without the other. The services of the platform
-- (logins tsdb_worker…, tsdb_venue) leave none: their own tables say what they did.
-- p_action: the function. p_object: what it is about. p_arguments: how it was called; values whose name
-- has password, secret, token or key in it are not kept. p_reason: why, if the function asks for it.
create or replace function ops._audit(
    p_action text,
    p_object text,
    p_arguments jsonb default '{}',
    p_reason text default null
)
returns void
language plpgsql
as $$
begin
    -- "_" is a wildcard: nobody else gets a name that begins like this.
    if session_user like 'tsdb_worker%' or session_user = 'tsdb_venue' then
        return;
    end if;
    insert into ops.audit (login, role, application, client, action, object, arguments, reason)
    values (
        session_user,
        case current_setting('role') when 'none' then session_user::text else current_setting('role') end,
        current_setting('application_name'), inet_client_addr(),
        p_action, p_object, ops._mask_secrets(p_arguments), p_reason);
end
$$;
comment on function ops._audit(text, text, jsonb, text) is
    'Records in ops.audit what a person calls; does nothing for the platform''s own services.';
