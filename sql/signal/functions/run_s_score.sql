-- The strategy s_score over an ordered set of inputs, as a window function: the state after each row.
create or replace aggregate signal.run_s_score(signal.step_input, signal.s_score_parameters) (
    sfunc = signal.step_s_score,
    stype = signal.s_score_state
);
comment on aggregate signal.run_s_score(signal.step_input, signal.s_score_parameters) is
    'signal.step_s_score folded over inputs in order; over (order by …) it gives the state after each.';
grant execute on function signal.run_s_score(signal.step_input, signal.s_score_parameters) to tsdb_reader;
