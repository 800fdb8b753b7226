-- A hint for an error: ' (did you mean "x"?)', or nothing where no name is near (ref._closest).
create or replace function ref._did_you_mean(p_word text, p_words text[])
returns text
language sql
immutable
as $$
    select coalesce(' (did you mean "' || ref._closest(p_word, p_words) || '"?)', '')
$$;
comment on function ref._did_you_mean(text, text[]) is 'A hint at the name that was probably meant.';
grant execute on function ref._did_you_mean(text, text[]) to tsdb_reader, tsdb_worker_scheduler, tsdb_worker_signals;
