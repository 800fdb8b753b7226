-- Refuses what only a named person may do when a process asks for it. Errors: 42501 (insufficient privilege).
create or replace function risk._require_person(p_act text)
returns void
language plpgsql
stable
as $$
begin
    if not risk._is_person() then
        raise exception '% takes a named person: log in as a member of tsdb_operator or tsdb_risk, not as %', p_act, session_user
            using errcode = 'insufficient_privilege';
    end if;
end
$$;
comment on function risk._require_person(text) is 'Refuses processes.';
