-- The code of a compiled rule that takes what an event brings into the last values and the windows.
-- p_code: that of each window. p_scalars: the last values that the rule needs.
create or replace function signal._rule_feeds(p_program jsonb, p_code jsonb[], p_scalars text[])
returns text
language sql
immutable
as $$
    select coalesce(string_agg(format(E'      if %s then\n%s      end if;\n',
        signal._rule_guard(p_program, u.stream, u.kind), f.code), '' order by u.stream, u.kind), '')
    from (
        select distinct (u->>0)::integer as stream, (u->>1)::integer as kind
        from jsonb_array_elements(p_program->'uses') u) u
    cross join lateral (
        select coalesce((
            select string_agg(format(E'          %s_%s := %s;\n', v.name, u.stream, v.sql), '' order by v.name)
            from (values
                (1, 'bid', 'nullif(e.bid, 0)'), (1, 'bid_size', 'e.bid_size'), (1, 'ask', 'nullif(e.ask, 0)'),
                (1, 'ask_size', 'e.ask_size'), (2, 'price', 'e.price'), (2, 'size', 'e.size'),
                (3, 'sentiment', 'e.sentiment')) v (kind, name, sql)
            where v.kind = u.kind and format('%s_%s', v.name, u.stream) = any (p_scalars)), '')
        || coalesce((
            select string_agg(format(E'          v_x := %s;\n          if v_x is not null then%s\n          end if;\n',
                w.window_->>'sql', p_code[w.n]->>'feed'), '' order by w.n)
            from jsonb_array_elements(p_program->'windows') with ordinality w (window_, n)
            where (w.window_->>'stream')::integer = u.stream and (w.window_->>'kind')::integer = u.kind), '') as code) f
    where f.code <> ''
$$;
comment on function signal._rule_feeds(jsonb, jsonb[], text[]) is
    'The code of a compiled rule that takes what an event brings.';
