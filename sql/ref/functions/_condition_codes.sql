-- The codes in a condition text, by the vocabulary's way of splitting (ref.condition_vocabularies).
-- A text that is no hexadecimal number where one is expected is a code of its own, an unknown one.
create or replace function ref._condition_codes(p_splits text, p_text text)
returns setof text
language sql
immutable
parallel safe
as $$
    select to_hex(1::bigint << b.bit)
    from generate_series(0, 62) b (bit)
    where p_splits = 'hex_bits' and p_text ~ '^[0-9A-Fa-f]{1,15}$'
        and (('x' || lpad(p_text, 16, '0'))::bit(64)::bigint >> b.bit) & 1 = 1
    union all
    select distinct l.letter
    from regexp_split_to_table(p_text, '') l (letter)
    where p_splits = 'letters' and l.letter <> ' '
    union all
    select p_text
    where p_text <> ''
        and (p_splits = 'whole' or (p_splits = 'hex_bits' and p_text !~ '^[0-9A-Fa-f]{1,15}$'))
$$;
