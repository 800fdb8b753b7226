-- The code of a compiled rule that evaluates its conditions at an event and hands on what they say as a hit, with
-- the fields and aggregates of those that are true.
--
-- Every event at which a condition says something is handed on, also where it seems to change nothing, because
-- that depends on the state that a batch begins with: of several quotes that follow each other in time only the
-- last seems to matter to an absence, but the first ends the waiting that began in the batch before.
create or replace function signal._rule_hits(p_program jsonb)
returns text
language sql
immutable
as $$
    select E'      v_bits := 0; v_terms := ''{}'';\n' || string_agg(format(
            E'      if %s then\n        if %s then\n          v_bits := v_bits | %s;\n%s%s        end if;\n      end if;\n',
            signal._rule_guard(p_program, (c.one->>'stream')::integer, (c.one->>'kind')::integer), c.one->>'sql',
            1::bigint << (c.one->>'bit')::integer,
            E'          v_terms := v_terms || jsonb_build_object(' || t.terms || E');\n',
            E'        else\n          v_bits := v_bits | ' || (1::bigint << (c.one->>'unless')::integer) || E';\n'),
        '' order by (c.one->>'bit')::integer)
        || E'      if v_bits <> 0 then\n'
        || E'        v_hits := v_hits || row(e.t, v_bits, e.kind, e.instrument_id, e.source_id, e.seq, v_terms)::signal.rule_hit;\n'
        || E'      end if;\n'
    from jsonb_array_elements(p_program->'conditions') c (one)
    cross join lateral (
        select string_agg(format('%L, %s', f.key, f.value), ', ' order by f.key) as terms
        from jsonb_each_text(c.one->'terms') f) t
$$;
comment on function signal._rule_hits(jsonb) is
    'The code of a compiled rule that evaluates its conditions at an event and hands on what they say.';
