-- The code of a compiled rule that evaluates its conditions at an event and keeps what they say as a hit, if it
-- can matter (signal.step_rule), and the code that ends this after the last event.
--
-- v_mask: the bits that can still matter. Any hit of a fold may at first; which do not follows from the hits kept
-- since, so that what is left out changes nothing, wherever a batch ends:
-- event with `until`   disarmed, only the bit that arms it matters, armed, only its own.
-- held                 once begun, only its contrary matters, once broken, only its own.
-- absent, first step   of events that follow in time only the last matters: it waits in v_pending.
-- absent, later        after one event that ends the waiting, no other until the step before.
-- without              after one no other until the first step.
create or replace function signal._rule_hits(p_program jsonb)
returns text[]
language plpgsql
immutable
as $$
declare
    v_steps constant jsonb := p_program->'steps';
    v_conditions text := '';
    v_terms text := '';
    v_masks text := '';
    v_row constant text := 'row(e.t, v_bits, e.kind, e.instrument_id, e.source_id, e.seq, v_terms)::signal.rule_hit';
    v_keep text;
    v_first constant jsonb := v_steps->0;
    v_one record;
    v_before jsonb;
begin
    for v_one in
        select signal._rule_guard(p_program, (c->>'stream')::integer, (c->>'kind')::integer) as guard,
               c->>'sql' as sql, 1::bigint << (c->>'bit')::integer as bit, 1::bigint << (c->>'unless')::integer as unless,
               (select string_agg(format('%L, %s', t.key, t.value), ', ' order by t.key) from jsonb_each_text(c->'terms') t) as terms,
               -- What "or" and "not" may have left out fails here, whether the hit is kept or not.
               case when c->>'sql' ~ '\m(or|not)\M' then (
                   select string_agg(format('v_x := %s; ', t.value), '' order by t.key)
                   from jsonb_each_text(c->'terms') t where t.value ~ '/') end as checks
        from jsonb_array_elements(p_program->'conditions') c
        order by (c->>'bit')::integer
    loop
        v_conditions := v_conditions || format(E'      if %s then\n        if %s then v_bits := v_bits | %s; %s%send if;\n      end if;\n',
            v_one.guard, v_one.sql, v_one.bit, v_one.checks, 'else v_bits := v_bits | ' || v_one.unless || '; ');
        if v_one.terms is not null then
            v_terms := v_terms || format(E'        if v_bits & %s <> 0 then v_terms := v_terms || jsonb_build_object(%s); end if;\n',
                v_one.bit, v_one.terms);
        end if;
    end loop;
    for v_one in
        select s.step, s.step->>'kind' as kind, (s.step->>'wanted')::bigint as w, (s.step->>'ends')::bigint as e, s.n
        from jsonb_array_elements(v_steps) with ordinality s (step, n)
        union all
        select '{}', 'without', (p_program->>'without')::bigint, null, 2 where p_program->>'without' is not null
        order by 5
    loop
        v_before := case v_one.kind when 'without' then v_first else v_steps->(v_one.n::integer - 2) end;
        v_masks := v_masks || case
            when v_one.kind = 'event' and v_one.e is not null then format(
                '          if v_bits & %1$s <> 0 and (v_bits & %2$s = 0 or v_mask & %2$s = 0) then v_mask := v_mask & ~%1$s::bigint | %2$s;'
                || E'\n          elsif v_bits & %2$s <> 0 and (v_bits & %1$s = 0 or v_mask & %1$s = 0) then v_mask := v_mask & ~%2$s::bigint | %1$s;\n          end if;\n',
                v_one.w, v_one.e)
            when v_one.kind = 'held' then format(
                '          if v_bits & %2$s <> 0 then v_mask := v_mask & ~%2$s::bigint | %1$s;'
                || E'\n          elsif v_bits & %1$s <> 0 then v_mask := v_mask & ~%1$s::bigint | %2$s;\n          end if;\n',
                v_one.w, v_one.e)
            when v_one.kind in ('absent', 'without') and v_before->>'kind' = 'event' then format(
                '          if v_bits & %2$s <> 0 then v_mask := v_mask | %1$s;'
                || E'\n          elsif v_bits & %1$s <> 0 then v_mask := v_mask & ~%1$s::bigint;\n          end if;\n',
                v_one.w, v_before->>'wanted')
            else '' end;
    end loop;
    v_keep := format(E'          v_hits := v_hits || %s;\n%s', v_row, v_masks);
    if v_first->>'kind' = 'absent' then
        v_keep := format($code$
        if v_pending.t is not null and (e.t > v_pending.t + %2$s or v_bits & v_mask & ~%1$s::bigint <> 0) then
          v_hits := v_hits || v_pending; v_pending := null;
        end if;
        if v_bits & v_mask & ~%1$s::bigint = 0 then
          v_pending := %3$s;
        else
%4$s        end if;
$code$, v_first->>'wanted', v_first->>'for_us', v_row, v_keep);
    end if;
    return array[
        E'      v_bits := 0;\n' || v_conditions || E'      if v_bits & v_mask <> 0 then\n        v_terms := ''{}'';\n' || v_terms || v_keep
        || E'      end if;\n',
        case when v_first->>'kind' = 'absent' then E'    if v_pending.t is not null then v_hits := v_hits || v_pending; end if;\n' else '' end];
end
$$;
comment on function signal._rule_hits(jsonb) is
    'The code of a compiled rule that evaluates its conditions at an event and keeps what can matter.';
