-- The value of an aggregate over a window as SQL, and the program with that window in it: two aggregates over
-- the same values and window share one.
--
-- p_arguments: the compiled operands. The window is a duration, a number of events or a part of the day.
-- windows: stream, kind (whose events feed it), sql (the value it takes from each), form (time, events, clock),
-- span (microseconds, events) or from and to (seconds), class (list: sums and the values themselves; min, max).
create or replace function signal._rule_window(p_name text, p_arguments jsonb[], p_program jsonb)
returns jsonb
language plpgsql
immutable
as $$
declare
    v_over jsonb := p_arguments[1];
    v_size jsonb := coalesce(p_arguments[2], case when p_name = 'prev' then '{"type": "number", "value": 1, "src": "1"}'::jsonb end);
    v_src text := format('%s(%s%s)', p_name, v_over->>'src', ', ' || (p_arguments[2]->>'src'));
    v_counts boolean := p_name in ('count', 'rate');
    v_window jsonb;
    v_no integer;
    v_w text;
    v_value text;
begin
    if cardinality(p_arguments) <> 2 and not (p_name = 'prev' and cardinality(p_arguments) = 1) then
        raise exception '% takes what it is over, and its window: %(price, 60s)', p_name, p_name using errcode = 'TT001';
    elsif v_counts and v_over->>'type' <> 'events' then
        raise exception '%: % is over quotes, trades or news, not %', v_src, p_name, v_over->>'src' using errcode = 'TT001';
    elsif not v_counts and v_over->>'type' <> 'number' then
        raise exception '%: % is over numbers, not %', v_src, p_name, v_over->>'src' using errcode = 'TT001';
    elsif (v_over->>'has_window')::boolean then
        raise exception '%: an aggregate of an aggregate is not possible', v_src using errcode = 'TT001';
    elsif jsonb_array_length(v_over->'uses') <> 1 then
        raise exception '%: what it is over must be of one instrument''s quotes, trades or news', v_src using errcode = 'TT001';
    elsif v_size->>'type' = 'number' and ((v_size->>'value')::numeric between 1 and 100000
            and (v_size->>'value')::numeric % 1 = 0) is not true
        or v_size->>'type' not in ('number', 'duration', 'clock')
        or p_name = 'prev' and v_size->>'type' <> 'number'
        or p_name = 'rate' and v_size->>'type' <> 'duration'
        or p_name = 'count' and v_size->>'type' = 'number'
    then
        raise exception '%: the window must be %', v_src, case p_name
            when 'prev' then 'a number of events from 1 to 100000'
            when 'rate' then 'a duration such as 60s'
            when 'count' then 'a duration such as 60s or a part of the day such as 09:30-10:00'
            else 'a duration such as 60s, a number of events from 1 to 100000 or a part of the day such as 09:30-10:00' end
            using errcode = 'TT001';
    end if;

    v_window := jsonb_build_object(
        'stream', v_over->'uses'->0->0, 'kind', v_over->'uses'->0->1,
        'sql', coalesce(v_over->>'sql', '1'),
        'form', case v_size->>'type' when 'duration' then 'time' when 'number' then 'events' else 'clock' end,
        'span', case when p_name = 'prev' then to_jsonb((v_size->>'value')::numeric::integer + 1) else v_size->'value' end,
        'class', case when v_size->>'type' <> 'clock' and p_name in ('min', 'max') then p_name else 'list' end);
    select w.n - 1 into v_no
    from jsonb_array_elements(p_program->'windows') with ordinality w (window_, n) where w.window_ = v_window;
    if v_no is null then
        v_no := jsonb_array_length(p_program->'windows');
        p_program := jsonb_set(p_program, '{windows}', (p_program->'windows') || jsonb_build_array(v_window));
    end if;

    v_w := 'w' || v_no;
    if v_window->>'form' = 'clock' then
        v_value := format(case p_name
            when 'count' then '%1$s_n' when 'sum' then '%1$s_n * %1$s_o + %1$s_s'
            when 'avg' then '%1$s_o + %1$s_s / nullif(%1$s_n, 0)'
            when 'stddev' then 'sqrt(greatest(%1$s_q - %1$s_s * %1$s_s / nullif(%1$s_n, 0), 0) / nullif(%1$s_n - 1, 0))'
            when 'min' then '%1$s_min' when 'max' then '%1$s_max' when 'first' then '%1$s_first'
            when 'last' then '%1$s_last' when 'change' then '%1$s_last - %1$s_first'
            when 'change_bps' then '1e4::float8 * (%1$s_last / %1$s_first - 1)' end, v_w);
        -- Before its part of the day is over it has no value, so that it cannot move under a condition.
        v_value := format('case when v_clock >= %s and (%s_n > 0 or %s) then %s end',
            v_window->'span'->>1, v_w, (p_name = 'count')::text, v_value);
    elsif v_window->>'class' = 'list' then
        v_value := format(case p_name
            when 'count' then '(%1$s_n - %1$s_h + 1)::float8'
            when 'rate' then '(%1$s_n - %1$s_h + 1) / %2$s::float8'
            when 'sum' then '(%1$s_n - %1$s_h + 1) * %1$s_o + %1$s_s'
            when 'avg' then '%1$s_o + %1$s_s / nullif(%1$s_n - %1$s_h + 1, 0)'
            when 'stddev' then 'sqrt(greatest(%1$s_q - %1$s_s * %1$s_s / nullif(%1$s_n - %1$s_h + 1, 0), 0) / nullif(%1$s_n - %1$s_h, 0))'
            when 'change' then '%1$s_v[%1$s_n] - %1$s_v[%1$s_h]'
            when 'change_bps' then '1e4::float8 * (%1$s_v[%1$s_n] / %1$s_v[%1$s_h] - 1)'
            when 'last' then '%1$s_v[%1$s_n]'
            else '%1$s_v[%1$s_h]' end, v_w, (v_window->>'span')::float8 / 1e6);
        v_value := format('case when %s then %s end', case
            when p_name in ('count', 'rate') then 'true'
            when v_window->>'form' = 'events' then format('%1$s_n - %1$s_h + 1 = %2$s', v_w, v_window->>'span')
            else format('%1$s_n >= %1$s_h', v_w) end, v_value);
    else
        v_value := format('case when %s then %s_v[%s_h] end', case v_window->>'form'
            when 'events' then format('%s_i >= %s', v_w, v_window->>'span')
            else format('%1$s_n >= %1$s_h', v_w) end, v_w, v_w);
    end if;
    return jsonb_build_object('program', p_program, 'operand', jsonb_build_object(
        'type', 'number', 'sql', '(' || v_value || ')', 'src', v_src, 'uses', v_over->'uses', 'has_window', true,
        'terms', jsonb_build_object(v_src, '(' || v_value || ')')));
end
$$;
comment on function signal._rule_window(text, jsonb[], jsonb) is
    'An aggregate over a window as SQL, and the program with its window.';
