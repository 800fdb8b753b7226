-- An account's name; null stays null. Errors: TT002 it does not exist.
create or replace function risk._known_account(p_account text)
returns text
language plpgsql
stable
as $$
begin
    if p_account is not null and not exists (select from ref.accounts a where a.account = p_account) then
        raise exception 'account "%" does not exist', p_account using errcode = 'TT002';
    end if;
    return p_account;
end
$$;
comment on function risk._known_account(text) is 'The name of an account that exists.';
