-- Refuses an act without a reason; p_act: what needs one, such as "a limit". Errors: TT001.
create or replace function risk._require_reason(p_reason text, p_act text)
returns void
language plpgsql
immutable
as $$
begin
    if coalesce(trim(p_reason), '') = '' then
        raise exception '% needs a reason', p_act using errcode = 'TT001';
    end if;
end
$$;
comment on function risk._require_reason(text, text) is 'Refuses acts without a reason.';
