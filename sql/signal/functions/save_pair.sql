-- Saves a calibrated pair and returns its id. The pair is the two symbols in either order, per feed.
--
-- p_parameters: JSON with all ten parameters (signal.read_parameters). Valid from p_calibrated_to on
-- until the next later calibration: an earlier one that overlaps ends there, one of the same time is
-- superseded. Rows are never changed but for superseded_at; what stays true of a superseded row is
-- saved again with its shorter validity.
-- Errors: TT001 parameters or window that cannot be, TT002 unknown symbol, feed or strategy.
create or replace function signal.save_pair(
    p_symbol_a text,
    p_symbol_b text,
    p_feed text,
    p_parameters jsonb,
    p_statistics jsonb,
    p_calibrated_from timestamptz,
    p_calibrated_to timestamptz,
    p_data_watermark jsonb,
    p_code_version text,
    p_strategy text default 'pairs'
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_a integer := ref.instrument_id(p_symbol_a);
    v_b integer := ref.instrument_id(p_symbol_b);
    v_parameters signal.pairs_parameters := signal.read_parameters(null, p_parameters);
    v_feed_id integer;
    v_strategy_id integer;
    v_valid_to timestamptz;
    v_pair_id bigint;
begin
    perform ops._audit('signal.save_pair', p_symbol_a || ' ' || p_symbol_b,
        jsonb_build_object('strategy', p_strategy, 'feed', p_feed, 'parameters', p_parameters));
    if v_a = v_b then
        raise exception 'a pair needs two symbols, not % twice', p_symbol_a using errcode = 'TT001';
    elsif (p_calibrated_from < p_calibrated_to) is not true then
        raise exception 'the calibration window must have from < to' using errcode = 'TT001';
    end if;
    select f.feed_id into v_feed_id from ops.feeds f where f.feed = p_feed;
    if v_feed_id is null then
        raise exception 'feed "%" does not exist: load it first', p_feed using errcode = 'TT002';
    end if;
    select s.strategy_id into v_strategy_id from signal.strategies s where s.strategy = p_strategy;
    if v_strategy_id is null then
        raise exception 'strategy "%" does not exist', p_strategy using errcode = 'TT002';
    end if;
    -- Two calibrations of one pair queue up here, so that each sees the other's row; calibrations of the
    -- whole feed (signal.save_calibration) exclude them.
    perform pg_advisory_xact_lock_shared(
        hashtextextended(format('signal.save_calibration %s %s', v_strategy_id, v_feed_id), 0));
    perform pg_advisory_xact_lock(hashtextextended(
        format('signal.save_pair %s %s %s %s', v_strategy_id, v_feed_id, least(v_a, v_b), greatest(v_a, v_b)), 0));

    with same as (
        select p.* from signal.pairs p
        where p.strategy_id = v_strategy_id and p.feed_id = v_feed_id
            and p.superseded_at = 'infinity'
            and (p.instrument_a, p.instrument_b) in ((v_a, v_b), (v_b, v_a))
    ),
    ended as (
        update signal.pairs p set superseded_at = clock_timestamp()
        from same s
        where p.pair_id = s.pair_id
            and s.valid_from <= p_calibrated_to and s.valid_to > p_calibrated_to
        returning s.*
    ),
    shortened as (
        insert into signal.pairs
            (strategy_id, instrument_a, instrument_b, parameters, statistics, feed_id, calibrated_from,
             calibrated_to, data_watermark, code_version, enabled, valid_from, valid_to, calibration_id)
        select e.strategy_id, e.instrument_a, e.instrument_b, e.parameters, e.statistics, e.feed_id,
               e.calibrated_from, e.calibrated_to, e.data_watermark, e.code_version, e.enabled,
               e.valid_from, p_calibrated_to, e.calibration_id
        from ended e where e.valid_from < p_calibrated_to
    )
    select coalesce(min(s.valid_from), 'infinity') into v_valid_to
    from same s where s.valid_from > p_calibrated_to;

    insert into signal.pairs
        (strategy_id, instrument_a, instrument_b, parameters, statistics, feed_id, calibrated_from,
         calibrated_to, data_watermark, code_version, valid_from, valid_to)
    values
        (v_strategy_id, v_a, v_b, v_parameters, p_statistics, v_feed_id, p_calibrated_from,
         p_calibrated_to, p_data_watermark, p_code_version, p_calibrated_to, v_valid_to)
    returning pair_id into v_pair_id;
    return v_pair_id;
end
$$;
comment on function signal.save_pair(
    text, text, text, jsonb, jsonb, timestamptz, timestamptz, jsonb, text, text) is
    'Saves a calibrated pair, valid from the end of its calibration; supersedes the earlier calibration of the same pair.';
grant execute on function signal.save_pair(
    text, text, text, jsonb, jsonb, timestamptz, timestamptz, jsonb, text, text) to tsdb_ops;
