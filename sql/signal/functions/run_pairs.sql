-- The pairs strategy over an ordered set of inputs, as a window function: the state after each row.
--   signal.run_pairs(input, parameters) over (order by as_of rows unbounded preceding)
create or replace aggregate signal.run_pairs(signal.pairs_input, signal.pairs_parameters) (
    sfunc = signal.step_pairs,
    stype = signal.pairs_state
);
comment on aggregate signal.run_pairs(signal.pairs_input, signal.pairs_parameters) is
    'signal.step_pairs folded over inputs in order; over (order by …) it gives the state after each.';
grant execute on function signal.run_pairs(signal.pairs_input, signal.pairs_parameters) to tsdb_reader;
