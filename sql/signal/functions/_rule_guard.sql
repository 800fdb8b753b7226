-- Whether an event is of a stream and kind, as a condition of a compiled rule, without what is true of all events
-- that the rule is given.
create or replace function signal._rule_guard(p_program jsonb, p_stream integer, p_kind integer)
returns text
language sql
immutable
as $$
    select coalesce(nullif(concat_ws(' and ',
        case when exists (select from jsonb_array_elements(p_program->'uses') u where (u->>1)::integer <> p_kind)
            then format('e.kind = %s', p_kind) end,
        case when p_program->'named' <> '[]'
            then format('e.instrument_id = %s', signal._rule_stream(p_program, p_stream)) end), ''), 'true')
$$;
comment on function signal._rule_guard(jsonb, integer, integer) is
    'Whether an event is of a stream and kind, as a condition of a compiled rule.';
