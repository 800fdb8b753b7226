-- Raises TT004 for a strategy that the database cannot step by itself.
create or replace function backtest._check_steps_here(p_strategy text, p_command text)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from signal.strategies s where s.strategy = p_strategy and s.python_class is not null) then
        raise exception 'strategy "%" is in Python, which the database does not step: use %', p_strategy, p_command
            using errcode = 'TT004';
    end if;
end
$$;
comment on function backtest._check_steps_here(text, text) is
    'Raises TT004 for a strategy that the database cannot step by itself.';
