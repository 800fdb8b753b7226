-- The body of a compiled rule: folds events, in order, into windows and conditions, per key. Generated from the
-- program alone; _compile_rule makes that. A condition that cannot be evaluated at an event (a division by zero)
-- leaves that event out, with an error; the windows keep what they took of it.
--
-- Events are folded without a net first, and all again one by one, each in a subtransaction, if one of them fails:
-- failures are rare and subtransactions dear.
create or replace function signal._rule_code(p_program jsonb)
returns text
language plpgsql
immutable
as $$
declare
    v_code constant jsonb[] := array(
        select signal._rule_window_code(w.window_, (w.n - 1)::integer)
        from jsonb_array_elements(p_program->'windows') with ordinality w (window_, n) order by w.n);
    v_texts constant text := (p_program->'windows')::text || (p_program->'conditions')::text;
    v_scalars constant text[] := array(
        select format('%s_%s', x.v, u.stream)
        from (select distinct (u->>0)::integer as stream from jsonb_array_elements(p_program->'uses') u) u
        cross join unnest('{bid,bid_size,ask,ask_size,price,size,sentiment}'::text[]) with ordinality x (v, n)
        where v_texts ~ format('\m%s_%s\M', x.v, u.stream)
        order by u.stream, x.n);
    v_clocks text := '';
    v_event text;
    v_begin text;
    v_end text;
begin
    if jsonb_typeof(p_program->'hours') = 'array' or p_program @? '$.windows[*] ? (@.form == "clock")' then
        -- The offset from UTC changes at quarters of an hour only.
        v_clocks := format($code$
      if (e.t - v_slot < 9e8 and e.t >= v_slot) is not true then
        v_slot := floor(e.t / 9e8) * 9e8; v_local := to_timestamp(v_slot / 1e6) at time zone %L;
        v_day := v_local::date - date '2000-01-01'; v_base := date_part('epoch', v_local::time);
      end if;
      v_clock := v_base + (e.t - v_slot) / 1e6;
$code$, p_program->>'timezone');
        if jsonb_typeof(p_program->'hours') = 'array' then
            v_clocks := v_clocks || format(E'      continue when v_clock < %s or v_clock >= %s;\n',
                p_program->'hours'->>0, p_program->'hours'->>1);
        end if;
    end if;
    v_event := coalesce((select string_agg((c->>'evict') || E'\n', '') from unnest(v_code) c where c->>'evict' ~ 'v_day'), '')
        || signal._rule_feeds(p_program, v_code, v_scalars)
        || coalesce((select string_agg((c->>'evict') || E'\n', '') from unnest(v_code) c where c->>'evict' !~ 'v_day'), '')
        || signal._rule_hits(p_program);
    v_begin := E'  declare\n    e signal.rule_event; v_bits bigint; v_terms jsonb; v_x float8; v_y float8; v_at integer;\n'
        || E'    v_slot float8; v_base float8; v_local timestamp; v_day float8; v_clock float8; v_out float8[];\n'
        || E'    v_hits signal.rule_hit[] := ''{}'';\n'
        || coalesce((select string_agg(format(E'  %s float8;\n', s), '') from unnest(v_scalars) s), '')
        || coalesce((select string_agg((c->>'declare') || E'\n', '') from unnest(v_code) c), '')
        || E'  begin\n    if p_windows is not null then\n'
        || coalesce((select string_agg(format(E'      %s := p_windows[%s];\n', s, n), '')
            from unnest(v_scalars) with ordinality x (s, n)), '')
        || format(E'      v_at := %s;\n', cardinality(v_scalars) + 1)
        || coalesce((select string_agg((c->>'load') || E'\n', '') from unnest(v_code) c), '')
        || E'    end if;\n    foreach e in array p_events loop\n' || v_clocks;
    v_end := E'    end loop;\n' || format(E'    v_out := array[%s]::float8[];\n', array_to_string(v_scalars, ', '))
        || coalesce((select string_agg((c->>'dump') || E'\n', '') from unnest(v_code) c), '')
        || E'    return row(v_out, v_hits, v_errors)::signal.rule_conditions;\n  end;\n';
    return E'declare\n  v_errors signal.rule_error[] := ''{}'';\nbegin\n  begin\n'
        || v_begin || v_event || v_end
        || E'  exception when others then\n    null;\n  end;\n'
        || v_begin || E'      begin\n' || v_event || E'      exception when others then\n'
        || E'        v_errors := v_errors || row(e.t, e.kind, e.instrument_id, e.source_id, e.seq, sqlstate, sqlerrm)::signal.rule_error;\n'
        || E'      end;\n' || v_end || 'end';
end
$$;
comment on function signal._rule_code(jsonb) is 'The body of a compiled rule.';
