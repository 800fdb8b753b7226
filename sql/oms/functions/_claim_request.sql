-- Records an idempotency key. True: it is new, go on. False: it was used for the same content, answer
-- from the tables. Errors: TT001 no id; TT006 the id was used for something else.
create or replace function oms._claim_request(p_request_id uuid, p_kind text, p_content text)
returns boolean
language plpgsql
as $$
declare
    v_digest constant text := md5(p_kind || p_content);
begin
    if p_request_id is null then
        raise exception 'a request needs an id' using errcode = 'TT001';
    end if;
    -- A concurrent use of the same id waits here until the other one has committed.
    insert into oms.requests (request_id, kind, digest) values (p_request_id, p_kind, v_digest)
    on conflict do nothing;
    if found then
        return true;
    end if;
    if v_digest <> (select digest from oms.requests where request_id = p_request_id) then
        raise exception 'request % was made before with other content', p_request_id using errcode = 'TT006';
    end if;
    return false;
end
$$;
comment on function oms._claim_request(uuid, text, text) is 'Claims an idempotency key.';
