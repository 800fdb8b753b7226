-- As a window function over trades in order: the number of the bar that each is in, from 1, and how
-- much of it is filled, if a bar is full at p_threshold of the amount (volume, dollars).
create or replace aggregate market._bar_number(p_amount numeric, p_threshold numeric) ( -- noqa: PRS
    sfunc = market._step_bar, stype = numeric[], initcond = '{1, 0}'
);
grant execute on function market._bar_number(numeric, numeric) to tsdb_reader;
