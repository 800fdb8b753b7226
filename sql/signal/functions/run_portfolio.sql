-- A portfolio over an ordered set of inputs, as a window function: the state after each.
--   signal.run_portfolio(input, parameters) over (order by as_of rows unbounded preceding)
create or replace aggregate signal.run_portfolio(signal.portfolio_input, signal.portfolio_parameters) (
    sfunc = signal.step_portfolio,
    stype = signal.portfolio_state
);
comment on aggregate signal.run_portfolio(signal.portfolio_input, signal.portfolio_parameters) is
    'signal.step_portfolio folded over inputs in order; over (order by …) it gives the state after each.';
grant execute on function signal.run_portfolio(signal.portfolio_input, signal.portfolio_parameters) to tsdb_reader;
