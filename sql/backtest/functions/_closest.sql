-- What was probably meant: ' (did you mean "x"?)' with the name that takes the fewest letters changed,
-- added, left out or swapped (Damerau 1964), or nothing where none is near.
create or replace function backtest._closest(p_word text, p_words text[])
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_word constant text := left(coalesce(p_word, ''), 60);
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
                v_change := (substr(v_word, i, 1) <> substr(v_name, j, 1))::integer;
                v_row[j + 1] := least(v_row[j] + 1, v_one[j + 1] + 1, v_one[j] + v_change);
                if i > 1 and j > 1 and substr(v_word, i, 1) = substr(v_name, j - 1, 1)
                    and substr(v_word, i - 1, 1) = substr(v_name, j, 1)
                then
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
    return coalesce(' (did you mean "' || v_best || '"?)', '');
end
$$;
comment on function backtest._closest(text, text[]) is 'A hint at the name that was probably meant.';
