-- The events of a match without the symbols that their instruments had when it was recorded: an instrument may
-- have got another since (ref.change_symbol), and source_id and seq say which event it is.
create or replace function signal._without_symbols(p_events jsonb)
returns jsonb
language sql
immutable
as $$
    select jsonb_agg(e.event - 'symbol' order by e.n)
    from jsonb_array_elements(p_events) with ordinality e (event, n)
$$;
comment on function signal._without_symbols(jsonb) is 'The events of a match without their symbols.';
