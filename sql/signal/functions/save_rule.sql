-- Saves a rule and returns its rule_id: a new version when there is one of that name, which ends in every session
-- with its next batch. The same definition, description and validity again change nothing but enabled.
-- docs/rules.md describes the definition. It is checked and compiled here: signal._rule_<rule_id>.
-- p_valid_from, p_valid_to: in session time. p_enabled null: as the version before, and true for the first.
-- Errors: TT001 a definition, name or validity that cannot be, TT002 an unknown key, kind, field, function or
-- instrument in it, with the closest one there is.
create or replace function signal.save_rule(
    p_rule text,
    p_definition jsonb,
    p_description text default '',
    p_enabled boolean default null,
    p_valid_from timestamptz default '-infinity',
    p_valid_to timestamptz default 'infinity'
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before signal.rules;
    v_compiled jsonb;
    v_rule_id integer;
begin
    perform ops._audit('signal.save_rule', p_rule, jsonb_build_object('definition', p_definition,
        'enabled', p_enabled, 'valid_from', p_valid_from, 'valid_to', p_valid_to));
    if (p_rule ~ '^[a-z0-9_.-]{1,48}$') is not true then
        raise exception 'a rule''s name has 1 to 48 of a-z, 0-9, "_", "." and "-", not "%"', p_rule using errcode = 'TT001';
    elsif (p_valid_from < p_valid_to) is not true then
        raise exception 'a rule must be valid from before it is valid to' using errcode = 'TT001';
    elsif p_description is null then
        raise exception 'the description may be empty, not null' using errcode = 'TT001';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('signal.save_rule ' || p_rule, 0));
    v_compiled := signal._compile_rule(p_definition);
    select * into v_before from signal.rules r where r.rule = p_rule and r.superseded_at = 'infinity';
    if (v_before.definition, v_before.description, v_before.valid_from, v_before.valid_to, v_before.code)
        = (p_definition, p_description, p_valid_from, p_valid_to, v_compiled->>'code')
    then
        update signal.rules r set enabled = coalesce(p_enabled, r.enabled) where r.rule_id = v_before.rule_id;
        return v_before.rule_id;
    end if;
    update signal.rules r set superseded_at = clock_timestamp() where r.rule_id = v_before.rule_id;
    insert into signal.rules
        (rule, version, description, definition, instrument_ids, named_ids, kinds, is_keyed, plan, code, code_hash,
         enabled, valid_from, valid_to, saved_by)
    values (
        p_rule, coalesce(v_before.version, 0) + 1, p_description, p_definition,
        case when jsonb_typeof(v_compiled->'instrument_ids') = 'array'
            then array(select jsonb_array_elements_text(v_compiled->'instrument_ids')::integer) end,
        array(select jsonb_array_elements_text(v_compiled->'named')::integer),
        array(select jsonb_array_elements_text(v_compiled->'kinds')::smallint),
        (v_compiled->>'is_keyed')::boolean,
        jsonb_populate_record(null::signal.rule_plan, v_compiled->'plan'),
        v_compiled->>'code', md5(v_compiled->>'code'),
        coalesce(p_enabled, v_before.enabled, true), p_valid_from, p_valid_to, session_user)
    returning rule_id into v_rule_id;
    execute format(
        'create function signal._rule_%s(p_windows double precision[], p_events signal.rule_event[], p_key integer) '
        'returns signal.rule_conditions language plpgsql immutable as %L', v_rule_id, v_compiled->>'code');
    execute format('revoke all on function signal._rule_%s(double precision[], signal.rule_event[], integer) from public',
        v_rule_id);
    execute format('comment on function signal._rule_%s(double precision[], signal.rule_event[], integer) is %L',
        v_rule_id, format('Rule %s, version %s.', p_rule, coalesce(v_before.version, 0) + 1));
    return v_rule_id;
end
$$;
comment on function signal.save_rule(text, jsonb, text, boolean, timestamptz, timestamptz) is
    'Checks, compiles and saves a rule, as a new version where there is one of that name; returns its rule_id.';
grant execute on function signal.save_rule(text, jsonb, text, boolean, timestamptz, timestamptz) to tsdb_ops;
