-- The name that was probably meant: the one that takes the fewest letters changed, added, left out or
-- swapped (Damerau 1964), whatever their case; else the first that begins with at least three letters of it or
-- with which it begins; null where none is near.
create or replace function ref._closest(p_word text, p_words text[])
returns text
language plpgsql
immutable
as $$
declare
    v_word constant text := lower(left(coalesce(p_word, ''), 60));
    v_best text;
    v_least integer := 2 + length(v_word) / 4;
    v_name text;
    v_two integer[];
    v_one integer[];
    v_row integer[];
    v_change integer;
begin
    foreach v_name in array p_words loop
        continue when length(v_name) > 60;
        v_one := array(select g from generate_series(0, length(v_name)) g);
        for i in 1..length(v_word) loop
            v_row := array[i];
            for j in 1..length(v_name) loop
                v_change := (substr(v_word, i, 1) <> substr(lower(v_name), j, 1))::integer;
                v_row[j + 1] := least(v_row[j] + 1, v_one[j + 1] + 1, v_one[j] + v_change);
                if i > 1 and j > 1 and substr(v_word, i - 1, 2) = reverse(substr(lower(v_name), j - 1, 2)) then
                    v_row[j + 1] := least(v_row[j + 1], v_two[j - 1] + 1);
                end if;
            end loop;
            v_two := v_one;
            v_one := v_row;
        end loop;
        if v_one[length(v_name) + 1] < v_least then
            v_least := v_one[length(v_name) + 1];
            v_best := v_name;
        end if;
    end loop;
    return coalesce(v_best, (
        select u.name from unnest(p_words) with ordinality u (name, n)
        where least(length(v_word), length(u.name)) >= 3
            and (starts_with(lower(u.name), v_word) or starts_with(v_word, lower(u.name)))
        order by u.n limit 1));
end
$$;
comment on function ref._closest(text, text[]) is 'The name that was probably meant.';
grant execute on function ref._closest(text, text[]) to tsdb_reader, tsdb_worker_scheduler, tsdb_worker_signals;
