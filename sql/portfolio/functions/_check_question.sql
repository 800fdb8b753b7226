-- Refuses times and methods that no report can be asked for. Errors: TT001, TT002 unknown session.
create or replace function portfolio._check_question(
    p_as_of timestamptz, p_known_at timestamptz, p_method text, p_session_id uuid
)
returns void
language plpgsql
stable
as $$
begin
    if p_as_of is null or p_known_at is null then
        raise exception 'as of % and known at %: both are times', p_as_of, p_known_at using errcode = 'TT001';
    end if;
    if p_method is null or p_method not in ('average', 'fifo', 'lifo', 'specific') then
        raise exception 'method "%" is none of average, fifo, lifo, specific', p_method using errcode = 'TT001';
    end if;
    if p_session_id is not null and not exists (
        select from ops.sessions s where s.session_id = p_session_id) then
        raise exception 'session % does not exist', p_session_id using errcode = 'TT002';
    end if;
end
$$;
comment on function portfolio._check_question(timestamptz, timestamptz, text, uuid) is
    'Refuses times and methods that no report can be asked for.';
