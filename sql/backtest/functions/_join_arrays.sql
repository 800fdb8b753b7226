-- Arrays one after the other, in the order of the aggregate.
create or replace aggregate backtest._join_arrays(anycompatiblearray) (
    sfunc = pg_catalog.array_cat,
    stype = anycompatiblearray,
    initcond = '{}'
);
comment on aggregate backtest._join_arrays(anycompatiblearray) is 'Arrays one after the other.';
