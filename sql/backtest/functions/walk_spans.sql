-- The steps of a walk forward: for every p_test from p_from + p_train on, the p_train before it, until p_to.
-- Errors: TT001 spans that cannot be.
create or replace function backtest.walk_spans(p_from timestamptz, p_to timestamptz, p_train interval, p_test interval)
returns table (train_from timestamptz, test_from timestamptz, test_to timestamptz)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if (p_train > interval '0' and p_test > interval '0' and p_from + p_train < p_to
        and p_from + 1000 * p_test > p_to) is not true
    then
        raise exception 'a walk needs a training and a test above zero, the first test before p_to, and at most 1000 of them'
            using errcode = 'TT001';
    end if;
    test_from := p_from + p_train;
    while test_from < p_to loop
        train_from := test_from - p_train;
        test_to := least(test_from + p_test, p_to);
        return next;
        test_from := test_to;
    end loop;
end
$$;
comment on function backtest.walk_spans(timestamptz, timestamptz, interval, interval) is
    'The training and test of every step of a walk forward.';
grant execute on function backtest.walk_spans(timestamptz, timestamptz, interval, interval) to tsdb_reader;
