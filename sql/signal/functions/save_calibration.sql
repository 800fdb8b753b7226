-- Saves what a calibration on daily bars chose and refused, and returns its id. The pairs are valid from
-- p_calibrated_to to before p_valid_to, and in that time they take the place of all that earlier
-- calibrations of the strategy and feed chose, and of the same pairs saved by signal.save_pair: those rows
-- are superseded, and what was valid before p_calibrated_to is saved again with its shorter validity.
-- A row that is there as it would be written stays, with its pair_id, so to calibrate again on the same data
-- changes nothing.
--
-- p_pairs      [{"a": instrument_id, "b": …, "parameters": all ten (signal.read_parameters), "statistics": {…}}]
-- p_refusals   [{"a": instrument_id, "b": null or …, "reason": …, "detail": …}]
-- p_run        arguments, days, symbols, tested, eligible, passed_over, elapsed_s (signal.calibrations)
-- Errors: TT001 times, pairs or parameters that cannot be; TT002 unknown instrument, feed or strategy.
create or replace function signal.save_calibration(
    p_feed text,
    p_calibrated_from timestamptz,
    p_calibrated_to timestamptz,
    p_valid_to timestamptz,
    p_pairs jsonb,
    p_refusals jsonb,
    p_run jsonb,
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
    v_feed_id constant integer := market._feed_id(p_feed);
    v_strategy_id integer;
    v_wrong text;
    v_id bigint;
begin
    perform ops._audit('signal.save_calibration', p_feed, jsonb_build_object(
        'strategy', p_strategy, 'from', p_calibrated_from, 'to', p_calibrated_to, 'valid_to', p_valid_to,
        'pairs', jsonb_array_length(p_pairs)));
    if (p_calibrated_from < p_calibrated_to and p_calibrated_to < p_valid_to) is not true then
        raise exception 'a calibration must have from < to < valid to' using errcode = 'TT001';
    end if;
    select s.strategy_id into v_strategy_id from signal.strategies s where s.strategy = p_strategy;
    if v_strategy_id is null then
        raise exception 'strategy "%" does not exist', p_strategy using errcode = 'TT002';
    end if;
    select coalesce(u.id, 'null') into v_wrong
    from (select e ->> 'a' as id from jsonb_array_elements(p_pairs || p_refusals) e
          union all select e ->> 'b' from jsonb_array_elements(p_pairs) e
          union all select e ->> 'b' from jsonb_array_elements(p_refusals) e where e ->> 'b' is not null) u
    where not exists (select from ref.instruments i where i.instrument_id::text = u.id) limit 1;
    if v_wrong is not null then
        raise exception 'unknown instrument %', v_wrong using errcode = 'TT002';
    end if;
    select format('instruments %s and %s', least(f.a, f.b), greatest(f.a, f.b)) into v_wrong
    from jsonb_to_recordset(p_pairs) f (a integer, b integer)
    group by least(f.a, f.b), greatest(f.a, f.b) having count(*) > 1 or min(f.a) = max(f.b) limit 1;
    if v_wrong is not null then
        raise exception 'a pair needs two symbols, and is saved once: %', v_wrong using errcode = 'TT001';
    end if;
    -- Excludes signal.save_pair on the feed, which takes it shared.
    perform pg_advisory_xact_lock(
        hashtextextended(format('signal.save_calibration %s %s', v_strategy_id, v_feed_id), 0));

    insert into signal.calibrations (strategy_id, feed_id, calibrated_from, calibrated_to, valid_to,
        arguments, days, symbols, tested, eligible, kept, refused, passed_over, data_watermark, code_version,
        elapsed)
    select v_strategy_id, v_feed_id, p_calibrated_from, p_calibrated_to, p_valid_to, r.arguments, r.days,
           r.symbols, r.tested, r.eligible, jsonb_array_length(p_pairs), jsonb_array_length(p_refusals),
           r.passed_over, p_data_watermark, p_code_version, make_interval(secs => r.elapsed_s)
    from jsonb_to_record(p_run) r (
        arguments jsonb, days integer, symbols integer, tested bigint, eligible bigint,
        passed_over jsonb, elapsed_s double precision)
    returning calibration_id into v_id;
    insert into signal.calibration_refusals (calibration_id, instrument_a, instrument_b, reason, detail)
    select v_id, f.a, f.b, f.reason, f.detail
    from jsonb_to_recordset(p_refusals) f (a integer, b integer, reason text, detail text);

    with fresh as materialized (
        select f.a, f.b, f.statistics, signal.read_parameters(null, f.parameters) as parameters, n.rank
        from jsonb_array_elements(p_pairs) with ordinality n (pair, rank)
        cross join lateral jsonb_to_record(n.pair) f (
            a integer, b integer, statistics jsonb, parameters jsonb)
    ),
    standing as materialized (
        select p.* from signal.pairs p
        where p.strategy_id = v_strategy_id and p.feed_id = v_feed_id and p.superseded_at = 'infinity'
            and p.valid_from < p_valid_to and p.valid_to > p_calibrated_to
            and (p.calibration_id is not null or exists (
                select from fresh f
                where (p.instrument_a, p.instrument_b) in ((f.a, f.b), (f.b, f.a))))
    ),
    same as materialized (
        select s.pair_id, s.instrument_a, s.instrument_b
        from standing s
        join fresh f on f.a = s.instrument_a and f.b = s.instrument_b
        where s.parameters = f.parameters and s.statistics = f.statistics
            and s.calibrated_from = p_calibrated_from and s.calibrated_to = p_calibrated_to
            and s.valid_from = p_calibrated_to and s.valid_to = p_valid_to
            and s.data_watermark = p_data_watermark and s.code_version = p_code_version
    ),
    ended as (
        update signal.pairs p set superseded_at = clock_timestamp()
        from standing s
        where p.pair_id = s.pair_id and not exists (select from same k where k.pair_id = s.pair_id)
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
    insert into signal.pairs
        (strategy_id, instrument_a, instrument_b, parameters, statistics, feed_id, calibrated_from,
         calibrated_to, data_watermark, code_version, valid_from, valid_to, calibration_id)
    select v_strategy_id, f.a, f.b, f.parameters, f.statistics, v_feed_id, p_calibrated_from,
           p_calibrated_to, p_data_watermark, p_code_version, p_calibrated_to, p_valid_to, v_id
    from fresh f
    where not exists (
        select from same k where k.instrument_a = f.a and k.instrument_b = f.b)
    order by f.rank;
    return v_id;
end
$$;
comment on function signal.save_calibration(
    text, timestamptz, timestamptz, timestamptz, jsonb, jsonb, jsonb, jsonb, text, text) is
    'Saves the pairs that a calibration on daily bars chose, in place of earlier ones of the same time, and what it refused. Errors: TT001, TT002.';
grant execute on function signal.save_calibration(
    text, timestamptz, timestamptz, timestamptz, jsonb, jsonb, jsonb, jsonb, text, text)
    to tsdb_ops, tsdb_worker_scheduler;
