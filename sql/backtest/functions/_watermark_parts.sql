-- The watermark of a run's data by key; one of before runs had a digest, a list of sources, is one part.
-- p_run is a row of backtest.runs.
create or replace function backtest._watermark_parts(p_run jsonb)
returns table (key text, value jsonb)
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select e.key, e.value
    from jsonb_each(case jsonb_typeof(p_run->'data_watermark') when 'object' then p_run->'data_watermark'
                    else jsonb_build_object('sources', p_run->'data_watermark') end) e
$$;
comment on function backtest._watermark_parts(jsonb) is 'The watermark of a run''s data by key.';
