-- Saves an instance of a strategy other than pairs and returns its id.
--
-- p_symbols      its legs, in the order the step sees them.
-- p_parameters   JSON with every field of the strategy's parameter type.
-- p_valid_from, p_valid_to   when it may trade: until p_valid_to, or the next later instance of the same
--                strategy, feed and set of symbols, if that is earlier. An earlier one that overlaps
--                ends at p_valid_from; one of the same time is superseded. Rows are never changed but
--                for superseded_at; what stays true of a superseded row is saved again.
-- p_calibrated_from, p_calibrated_to   the data it was calibrated on, if it was: not after p_valid_from.
-- p_code_version the installed code's by default.
-- Errors: TT001 parameters, symbols or times that cannot be, TT002 unknown symbol, feed or strategy,
-- TT004 a strategy that has no instances.
create or replace function signal.save_instance(
    p_strategy text,
    p_symbols text[],
    p_feed text,
    p_parameters jsonb,
    p_statistics jsonb,
    p_valid_from timestamptz,
    p_valid_to timestamptz default 'infinity',
    p_calibrated_from timestamptz default null,
    p_calibrated_to timestamptz default null,
    p_data_watermark jsonb default '{}',
    p_code_version text default null
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_strategy signal.strategies;
    v_feed_id integer;
    v_legs integer[];
    v_parameters jsonb;
    v_wrong text;
    v_valid_to timestamptz;
    v_instance_id bigint;
begin
    perform ops._audit('signal.save_instance', array_to_string(p_symbols, ' '),
        jsonb_build_object('strategy', p_strategy, 'feed', p_feed, 'parameters', p_parameters));
    select * into v_strategy from signal.strategies s where s.strategy = p_strategy;
    if not found then
        raise exception 'strategy "%" does not exist', p_strategy using errcode = 'TT002';
    elsif v_strategy.state_type is null or v_strategy.state_type = 'signal.pairs_state' then
        raise exception 'strategy "%" has no instances of this kind%', p_strategy,
            case when v_strategy.state_type is not null then ': use signal.save_pair' else '' end using errcode = 'TT004';
    end if;
    select f.feed_id into v_feed_id from ops.feeds f where f.feed = p_feed;
    if v_feed_id is null then
        raise exception 'feed "%" does not exist: load it first', p_feed using errcode = 'TT002';
    end if;
    v_legs := array(select ref.instrument_id(u.symbol) from unnest(p_symbols) with ordinality u (symbol, leg)
                    order by u.leg);
    v_wrong := case
        when cardinality(v_legs) not between 1 and 100 then 'an instance has from 1 to 100 symbols'
        when cardinality(v_legs) <> (select count(distinct l.leg) from unnest(v_legs) l (leg))
            then 'an instance has each symbol once'
        when (p_valid_from < p_valid_to and isfinite(p_valid_from)) is not true
            then 'an instance must be valid from some time until a later one'
        when num_nulls(p_calibrated_from, p_calibrated_to) = 1 or p_calibrated_from >= p_calibrated_to
            then 'the calibration window must have from < to'
        when p_calibrated_to > p_valid_from then 'an instance is not valid before the end of its calibration'
        when p_statistics is null or p_data_watermark is null then 'statistics and data watermark are JSON, not null'
    end;
    if v_wrong is not null then
        raise exception '%', v_wrong using errcode = 'TT001';
    end if;
    v_parameters := signal._check_parameters(v_strategy, p_parameters);
    -- Two of the same legs queue up here, so that each sees the other's row.
    perform pg_advisory_xact_lock(hashtextextended(format('signal.save_instance %s %s %s',
        v_strategy.strategy_id, v_feed_id, array(select l.leg from unnest(v_legs) l (leg) order by 1)), 0));

    with same as (
        select n.* from signal.instances n
        where n.strategy_id = v_strategy.strategy_id and n.feed_id = v_feed_id
            and n.superseded_at = 'infinity' and n.instruments @> v_legs and n.instruments <@ v_legs
    ),
    ended as (
        update signal.instances n set superseded_at = clock_timestamp()
        from same s
        where n.instance_id = s.instance_id and s.valid_from <= p_valid_from and s.valid_to > p_valid_from
        returning s.*
    ),
    shortened as (
        insert into signal.instances
            (strategy_id, instruments, parameters, statistics, feed_id, calibrated_from, calibrated_to,
             data_watermark, code_version, enabled, valid_from, valid_to)
        select e.strategy_id, e.instruments, e.parameters, e.statistics, e.feed_id, e.calibrated_from,
               e.calibrated_to, e.data_watermark, e.code_version, e.enabled, e.valid_from, p_valid_from
        from ended e where e.valid_from < p_valid_from
    )
    select least(min(s.valid_from), p_valid_to) into v_valid_to from same s where s.valid_from > p_valid_from;

    insert into signal.instances
        (strategy_id, instruments, parameters, statistics, feed_id, calibrated_from, calibrated_to,
         data_watermark, code_version, valid_from, valid_to)
    values
        (v_strategy.strategy_id, v_legs, v_parameters, p_statistics, v_feed_id, p_calibrated_from,
         p_calibrated_to, p_data_watermark, coalesce(p_code_version, signal.code_hash(p_strategy)),
         p_valid_from, v_valid_to)
    returning instance_id into v_instance_id;
    return v_instance_id;
end
$$;
comment on function signal.save_instance(
    text, text[], text, jsonb, jsonb, timestamptz, timestamptz, timestamptz, timestamptz, jsonb, text) is
    'Saves an instance of a strategy, valid from a time; supersedes the earlier one of the same symbols. Returns its id.';
grant execute on function signal.save_instance(
    text, text[], text, jsonb, jsonb, timestamptz, timestamptz, timestamptz, timestamptz, jsonb, text) to tsdb_ops;
