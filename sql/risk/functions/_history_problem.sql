-- Why an instrument's history in a set cannot be used; null where it can.
create or replace function risk._history_problem(p_set_id bigint, p_symbol text, p_window risk._windows)
returns text
language sql
immutable
as $$
    select case
        when p_set_id is null then 'no history of the last days is prepared'
        when p_window.instrument_id is null then 'no history of ' || p_symbol
        when p_window.reason is not null then p_symbol || ': ' || p_window.reason
    end
$$;
comment on function risk._history_problem(bigint, text, risk._windows) is
    'Why an instrument''s history cannot be used.';
