-- Refuses sessions, days and times that no report by day can be asked for; null days are open. Errors: TT001,
-- TT002 unknown session.
create or replace function portfolio._check_days(
    p_session_id uuid, p_from date, p_to date, p_known_at timestamptz
)
returns void
language plpgsql
stable
as $$
begin
    if p_session_id is null then
        raise exception 'a session is missing' using errcode = 'TT001';
    end if;
    perform portfolio._check_question('infinity', p_known_at, 'average', p_session_id);
    if p_from > p_to or not isfinite(p_to) then
        raise exception 'no days from % to %', coalesce(p_from::text, 'the first'), p_to using errcode = 'TT001';
    end if;
end
$$;
comment on function portfolio._check_days(uuid, date, date, timestamptz) is
    'Refuses sessions, days and times that no report by day can be asked for.';
