-- Refuses a word that is not one of the known ones: TT002, with the closest known word (the fewest letters
-- changed, added, left out or swapped with the next, at most half of them).
create or replace function signal._check_word(p_what text, p_word text, p_known text[])
returns void
language plpgsql
as $$
declare
    v_known text;
    v_row integer[];
    v_next integer[];
    v_before integer[];
    v_best text;
    v_least integer := greatest(length(p_word) / 2, 1);
begin
    if p_word = any (p_known) then
        return;
    end if;
    foreach v_known in array p_known loop
        v_row := array(select n from generate_series(0, length(v_known)) n);
        for i in 1..coalesce(length(p_word), 0) loop
            v_next := array[i];
            for j in 1..length(v_known) loop
                v_next[j + 1] := least(v_row[j + 1] + 1, v_next[j] + 1,
                    v_row[j] + (substr(lower(p_word), i, 1) <> substr(lower(v_known), j, 1))::integer);
                if i > 1 and j > 1 and substr(lower(p_word), i - 1, 2) = reverse(substr(lower(v_known), j - 1, 2)) then
                    v_next[j + 1] := least(v_next[j + 1], v_before[j - 1] + 1);
                end if;
            end loop;
            v_before := v_row;
            v_row := v_next;
        end loop;
        if v_row[length(v_known) + 1] <= v_least and (v_best is null or v_row[length(v_known) + 1] < v_least) then
            v_best := v_known;
            v_least := v_row[length(v_known) + 1];
        end if;
    end loop;
    raise exception 'unknown % "%": %', p_what, p_word,
        case when v_best is not null then 'did you mean ' || v_best || '?'
            when p_known = '{}' then 'there is none'
            when cardinality(p_known) > 40 then 'it is not registered'
            else 'there is ' || array_to_string(p_known, ', ') end
        using errcode = 'TT002';
end
$$;
comment on function signal._check_word(text, text, text[]) is
    'Raises TT002 with the closest known word, unless the word is known.';
