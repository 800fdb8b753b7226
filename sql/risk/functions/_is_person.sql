-- Whether the login is one of those that named persons use, and not a process's.
create or replace function risk._is_person()
returns boolean
language sql
stable
as $$
    select exists (
        select from pg_catalog.pg_roles r
        where r.rolname in ('tsdb_operator', 'tsdb_risk', 'tsdb_trader_role', 'tsdb_ops', 'tsdb_trader')
            and pg_catalog.pg_has_role(session_user, r.oid, 'member'))
$$;
comment on function risk._is_person() is 'Whether the login is a person''s.';
