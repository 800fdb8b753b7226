-- The body of a compiled rule: folds events, in order, into windows and conditions, per key. Generated from the
-- program alone; _compile_rule makes that. A condition that cannot be evaluated at an event (a division by zero)
-- leaves that event out, with an error; the windows keep what they took of it.
create or replace function signal._rule_code(p_program jsonb)
returns text
language plpgsql
immutable
as $$
declare
    v_code jsonb[] := array(
        select signal._rule_window_code(w.window_, (w.n - 1)::integer)
        from jsonb_array_elements(p_program->'windows') with ordinality w (window_, n) order by w.n);
    v_variables constant text[] := '{bid,bid_size,ask,ask_size,price,size,sentiment}';
    v_uses record;
    v_one record;
    v_scalars text[] := '{}';
    v_feeds text := '';
    v_conditions text := '';
    v_uses_clock boolean := jsonb_typeof(p_program->'hours') = 'array'
        or p_program @? '$.windows[*] ? (@.form == "clock")';
begin
    for v_uses in
        select u.stream, array_agg(u.kind order by u.kind) as kinds from (
            select distinct (u->>0)::integer as stream, (u->>1)::integer as kind
            from jsonb_array_elements(p_program->'uses') u) u
        group by u.stream order by u.stream
    loop
        v_scalars := v_scalars || array(
            select format('%s_%s', v, v_uses.stream) from unnest(v_variables) with ordinality x (v, n)
            where case when n <= 4 then 1 when n <= 6 then 2 else 3 end = any (v_uses.kinds) order by n);
        v_feeds := v_feeds || format(E'      if e.instrument_id = %s then\n', signal._rule_stream(p_program, v_uses.stream));
        for v_one in select unnest(v_uses.kinds) as kind loop
            v_feeds := v_feeds || format(E'        if e.kind = %s then\n          %s\n', v_one.kind, replace(case v_one.kind
                when 1 then 'bid_$ := nullif(e.bid, 0); bid_size_$ := e.bid_size; ask_$ := nullif(e.ask, 0); ask_size_$ := e.ask_size;'
                when 2 then 'price_$ := e.price; size_$ := e.size;'
                else 'sentiment_$ := e.sentiment;' end, '$', v_uses.stream::text))
                || coalesce((
                    select string_agg(format(E'          v_x := %s;\n          if v_x is not null then%s\n          end if;\n',
                        w.window_->>'sql', v_code[w.n]->>'feed'), '' order by w.n)
                    from jsonb_array_elements(p_program->'windows') with ordinality w (window_, n)
                    where (w.window_->>'stream')::integer = v_uses.stream and (w.window_->>'kind')::integer = v_one.kind), '')
                || E'        end if;\n';
        end loop;
        v_feeds := v_feeds || E'      end if;\n';
    end loop;
    for v_one in
        select c.stream, c.kind, string_agg(format(E'        if %s then\n          v_bits := v_bits | %s; v_terms := v_terms || jsonb_build_object(%s);\n%s        end if;\n',
                c.sql, (1::bigint << c.bit), c.terms,
                case when c.unless is not null then format(E'        else\n          v_bits := v_bits | %s;\n', (1::bigint << c.unless)) end),
            '' order by c.bit) as code
        from (
            select (c->>'stream')::integer as stream, (c->>'kind')::integer as kind, c->>'sql' as sql,
                   (c->>'bit')::integer as bit, (c->>'unless')::integer as unless,
                   coalesce((select string_agg(format('%L, %s', t.key, t.value), ', ' order by t.key)
                       from jsonb_each_text(c->'terms') t), '') as terms
            from jsonb_array_elements(p_program->'conditions') c) c
        group by c.stream, c.kind order by c.stream, c.kind
    loop
        v_conditions := v_conditions || format(E'      if e.kind = %s and e.instrument_id = %s then\n%s      end if;\n',
            v_one.kind, signal._rule_stream(p_program, v_one.stream), v_one.code);
    end loop;

    return E'declare\n  e signal.rule_event;\n  v_bits bigint;\n  v_terms jsonb;\n  v_x float8;\n  v_y float8;\n  v_at integer;\n'
        || E'  v_local timestamp;\n  v_day float8;\n  v_clock float8;\n  v_out float8[];\n'
        || E'  v_hits signal.rule_hit[] := ''{}'';\n  v_errors signal.rule_error[] := ''{}'';\n'
        || (select string_agg(format(E'  %s float8;\n', s), '') from unnest(v_scalars) s)
        || coalesce((select string_agg((c->>'declare') || E'\n', '') from unnest(v_code) c), '')
        || E'begin\n  if p_windows is not null then\n'
        || (select string_agg(format(E'  %s := p_windows[%s];\n', s, n), '') from unnest(v_scalars) with ordinality x (s, n))
        || format(E'  v_at := %s;\n', cardinality(v_scalars) + 1)
        || coalesce((select string_agg((c->>'load') || E'\n', '') from unnest(v_code) c), '')
        || E'  end if;\n  foreach e in array p_events loop\n'
        || case when v_uses_clock then format(
            E'    v_local := to_timestamp(e.t / 1e6) at time zone %L;\n    v_day := v_local::date - date ''2000-01-01'';\n'
            '    v_clock := date_part(''epoch'', v_local::time);\n', p_program->>'timezone') else '' end
        || case when jsonb_typeof(p_program->'hours') = 'array' then format(
            E'    continue when v_clock < %s or v_clock >= %s;\n', p_program->'hours'->>0, p_program->'hours'->>1) else '' end
        || E'    begin\n'
        || coalesce((select string_agg((c.code->>'evict') || E'\n', '') from unnest(v_code) c (code)
            where c.code->>'evict' ~ 'v_day'), '')
        || v_feeds
        || coalesce((select string_agg((c.code->>'evict') || E'\n', '') from unnest(v_code) c (code)
            where c.code->>'evict' !~ 'v_day'), '')
        || E'      v_bits := 0;\n      v_terms := ''{}'';\n' || v_conditions
        || E'      if v_bits <> 0 then\n'
        || E'        v_hits := v_hits || row(e.t, v_bits, e.kind, e.instrument_id, e.source_id, e.seq, v_terms)::signal.rule_hit;\n'
        || E'      end if;\n    exception when others then\n'
        || E'      v_errors := v_errors || row(e.t, e.kind, e.instrument_id, e.source_id, e.seq, sqlstate, sqlerrm)::signal.rule_error;\n'
        || E'    end;\n  end loop;\n'
        || format(E'  v_out := array[%s]::float8[];\n', array_to_string(v_scalars, ', '))
        || coalesce((select string_agg((c->>'dump') || E'\n', '') from unnest(v_code) c), '')
        || E'  return row(v_out, v_hits, v_errors)::signal.rule_conditions;\nend';
end
$$;
comment on function signal._rule_code(jsonb) is 'The body of a compiled rule.';
