-- The flags of market._trades that each condition text gives a trade, by the rows of
-- ref.trade_conditions: 16 it does not set open and close, 32 nor high and low, 64 it adds nothing
-- to volume. No text and no code: a regular trade, 0.
--
-- A code that nobody explained yet counts as regular; it is noted in ref.trade_conditions with
-- known = false, so that somebody does. An unknown vocabulary raises TT002.
create or replace function ref.condition_flags(p_vocabulary text, p_conditions text[])
returns smallint[]
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_vocabulary ref.condition_vocabularies;
    v_flags smallint[];
begin
    select v.* into v_vocabulary
    from ref.condition_vocabularies v where v.vocabulary = p_vocabulary;
    if v_vocabulary.vocabulary is null then
        raise exception 'unknown vocabulary % of trade conditions', p_vocabulary
            using errcode = 'TT002';
    end if;
    insert into ref.trade_conditions (vocabulary, code, name, known)
    select distinct p_vocabulary, c.code, 'unknown', false
    from unnest(p_conditions) t (conditions)
    cross join lateral ref._condition_codes(v_vocabulary.splits, t.conditions) c (code)
    where not exists (
        select from ref.trade_conditions k where k.vocabulary = p_vocabulary and k.code = c.code)
    on conflict do nothing;
    select array_agg(coalesce(f.flags, 0::smallint) order by t.no) into v_flags
    from unnest(p_conditions) with ordinality t (conditions, no)
    cross join lateral (
        select (case when n.last then 0 else 16 end
                + case when n.high_low then 0 else 32 end
                + case when n.volume then 0 else 64 end)::smallint as flags
        from (
            select case v_vocabulary.combines when 'any' then bool_or(k.updates_open_close)
                   else bool_and(k.updates_open_close) end as last,
                   case v_vocabulary.combines when 'any' then bool_or(k.updates_high_low)
                   else bool_and(k.updates_high_low) end as high_low,
                   bool_and(k.updates_volume) as volume
            from ref._condition_codes(v_vocabulary.splits, t.conditions) c (code)
            join ref.trade_conditions k on k.vocabulary = p_vocabulary and k.code = c.code
            having count(*) > 0
        ) n
        union all
        -- No code at all.
        select 0::smallint
        where not exists (
            select from ref._condition_codes(v_vocabulary.splits, t.conditions) c (code))
    ) f;
    return coalesce(v_flags, '{}');
end
$$;
comment on function ref.condition_flags(text, text[]) is
    'What trades with these condition texts do not count for: 16 open and close, 32 high and low, 64 volume.';
grant execute on function ref.condition_flags(text, text[]) to tsdb_worker_feeds, tsdb_ops;
