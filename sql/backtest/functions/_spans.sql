-- Between which of a run's times each of its instances is stepped: first and last index, first > last if never.
create or replace function backtest._spans(p_run jsonb, p_times timestamptz[], p_from timestamptz)
returns table (instance_id bigint, instruments integer[], first integer, last integer)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    -- width_bucket: how many times are not after a time.
    select i.instance_id, i.instruments,
           1 + greatest(
               case when i.valid_from = '-infinity' then 0
                    else width_bucket(i.valid_from - interval '1 microsecond', p_times) end,
               case when p_from is null then 0 else width_bucket(p_from, p_times) end),
           case when i.valid_to = 'infinity' then cardinality(p_times)
                else width_bucket(i.valid_to - interval '1 microsecond', p_times) end
    from backtest._instances(p_run) i
$$;
comment on function backtest._spans(jsonb, timestamptz[], timestamptz) is
    'Between which of a run''s times each of its instances is stepped.';
