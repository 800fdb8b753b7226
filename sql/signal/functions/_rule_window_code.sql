-- The code of one window of a compiled rule: declare, load (from p_windows at v_at), feed (append v_x at time
-- e.t), evict, dump. A time window holds what came in (t - span, t]; one of events the last so many.
--
-- list: the values and their sum and sum of squares, taken from an origin near them (o), which keeps the
--       deviation of large numbers that differ little. Sums are formed anew, from a new origin, once as many
--       values have left as the window holds and a thousand more, so that rounding does not pile up. When that
--       happens is decided by the events alone, never by where a batch ends.
--       A time window with more than 100,000 values is an error of the event that comes, or a single rule could
--       make every batch of a session as slow as its history is long.
-- min, max: only values that can still become the extreme, so the first one is (a monotonic queue).
-- clock: the figures of its part of the day, begun anew every day.
create or replace function signal._rule_window_code(p_window jsonb, p_no integer)
returns jsonb
language plpgsql
immutable
as $$
declare
    v_is_time boolean := p_window->>'form' = 'time';
    v_worse text := case p_window->>'class' when 'min' then '>=' else '<=' end;
    v_span text := p_window->>'span';
    v jsonb;
begin
    if p_window->>'form' = 'clock' then
        v := jsonb_build_object(
            'declare', '  w_d float8; w_n float8 := 0; w_o float8; w_s float8; w_q float8; w_first float8; w_last float8; w_min float8; w_max float8;',
            'load', '  w_d := p_windows[v_at]; w_n := p_windows[v_at + 1]; w_o := p_windows[v_at + 2]; w_s := p_windows[v_at + 3]; w_q := p_windows[v_at + 4]; w_first := p_windows[v_at + 5]; w_last := p_windows[v_at + 6]; w_min := p_windows[v_at + 7]; w_max := p_windows[v_at + 8]; v_at := v_at + 9;',
            'feed', format($code$
          if v_clock >= %s and v_clock < %s then
            if w_n = 0 then w_o := v_x; w_s := 0; w_q := 0; w_first := v_x; w_min := v_x; w_max := v_x; end if;
            w_n := w_n + 1; w_last := v_x; w_s := w_s + (v_x - w_o); w_q := w_q + (v_x - w_o) * (v_x - w_o);
            w_min := least(w_min, v_x); w_max := greatest(w_max, v_x);
          end if;$code$, p_window->'span'->>0, p_window->'span'->>1),
            'evict', '      if w_d is distinct from v_day then w_d := v_day; w_n := 0; w_first := null; w_last := null; w_min := null; w_max := null; end if;',
            'dump', '  v_out := v_out || array[w_d, w_n, w_o, w_s, w_q, w_first, w_last, w_min, w_max];');
    elsif p_window->>'class' = 'list' then
        v := jsonb_build_object(
            'declare', '  w_h integer := 1; w_n integer := 0; w_r integer := 0; w_o float8 := 0; w_s float8 := 0; w_q float8 := 0; w_v float8[] := ''{}'';'
                || case when v_is_time then ' w_t float8[] := ''{}'';' else '' end,
            'load', '  w_n := p_windows[v_at]; w_r := p_windows[v_at + 1]; w_o := p_windows[v_at + 2]; w_s := p_windows[v_at + 3]; w_q := p_windows[v_at + 4]; w_v := p_windows[v_at + 5:v_at + 4 + w_n]; v_at := v_at + 5 + w_n;'
                || case when v_is_time then ' w_t := p_windows[v_at:v_at + w_n - 1]; v_at := v_at + w_n;' else '' end,
            'feed', case when v_is_time then $code$
          if w_n - w_h >= 99999 and w_t[w_h] > e.t - $code$ || v_span || $code$ then
            raise exception 'a window holds more than 100000 values: make it shorter' using errcode = 'TT001';
          end if;$code$ else '' end || '
          if w_h > w_n then w_o := v_x; w_s := 0; w_q := 0; w_r := 0; end if;
          w_n := w_n + 1; w_v[w_n] := v_x; v_y := v_x - w_o; w_s := w_s + v_y; w_q := w_q + v_y * v_y;'
                || case when v_is_time then ' w_t[w_n] := e.t;' else '' end,
            'evict', format($code$
      while w_h <= w_n and %s loop
        v_y := w_v[w_h] - w_o; w_s := w_s - v_y; w_q := w_q - v_y * v_y; w_h := w_h + 1; w_r := w_r + 1;
        if w_r > w_n - w_h + 1001 then
          w_o := w_v[w_n]; w_s := 0; w_q := 0; w_r := 0;
          for i in w_h..w_n loop v_y := w_v[i] - w_o; w_s := w_s + v_y; w_q := w_q + v_y * v_y; end loop;
        end if;
      end loop;$code$, case when v_is_time then format('w_t[w_h] <= e.t - %s', v_span)
                else format('w_n - w_h >= %s', v_span) end),
            'dump', '  v_out := v_out || array[w_n - w_h + 1, w_r, w_o, w_s, w_q] || w_v[w_h:w_n]'
                || case when v_is_time then ' || w_t[w_h:w_n];' else ';' end);
    else
        -- w_t holds times, or for windows of events their numbers; w_i counts events.
        v := jsonb_build_object(
            'declare', '  w_h integer := 1; w_n integer := 0; w_i float8 := 0; w_v float8[] := ''{}''; w_t float8[] := ''{}'';',
            'load', '  w_n := p_windows[v_at]; w_i := p_windows[v_at + 1]; w_v := p_windows[v_at + 2:v_at + 1 + w_n]; v_at := v_at + 2 + w_n; w_t := p_windows[v_at:v_at + w_n - 1]; v_at := v_at + w_n;',
            'feed', format($code$
          w_i := w_i + 1;
          while w_n >= w_h and w_v[w_n] %s v_x loop w_n := w_n - 1; end loop;
          w_n := w_n + 1; w_v[w_n] := v_x; w_t[w_n] := %s;$code$, v_worse, case when v_is_time then 'e.t' else 'w_i' end),
            'evict', format('      while w_h <= w_n and w_t[w_h] <= %s - %s loop w_h := w_h + 1; end loop;',
                case when v_is_time then 'e.t' else 'w_i' end, v_span),
            'dump', '  v_out := v_out || array[w_n - w_h + 1, w_i] || w_v[w_h:w_n] || w_t[w_h:w_n];');
    end if;
    return regexp_replace(v::text, '\mw_', format('w%s_', p_no), 'g')::jsonb;
end
$$;
comment on function signal._rule_window_code(jsonb, integer) is 'The code of one window of a compiled rule.';
