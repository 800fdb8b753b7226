-- Stores a model's scores of headlines that were stored with another's, or with none: row n is
-- p_scores[n] of (p_source_ids[n], p_seqs[n]). A score that is there stays as it is. Returns how many
-- are new. Errors: TT001 no model, or a score outside of -1 to 1.
create or replace function market.add_news_scores(
    p_model text,
    p_model_version text,
    p_source_ids integer[],
    p_seqs bigint[],
    p_scores numeric[]
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_added bigint;
begin
    if coalesce(p_model, '') = '' or coalesce(p_model_version, '') = '' then
        raise exception 'a score needs a model and its version' using errcode = 'TT001';
    elsif exists (select from unnest(p_scores) s (score)
                  where (s.score between -1 and 1) is not true)
    then
        raise exception 'a score lies outside of -1 to 1' using errcode = 'TT001';
    end if;
    insert into market.news_scores (source_id, seq, model, model_version, sentiment)
    select n.source_id, n.seq, p_model, p_model_version, n.score
    from unnest(p_source_ids, p_seqs, p_scores) n (source_id, seq, score)
    on conflict do nothing;
    get diagnostics v_added = row_count;
    return v_added;
end
$$;
comment on function market.add_news_scores(text, text, integer[], bigint[], numeric[]) is
    'Stores a model''s scores of stored headlines beside those they have; returns how many are new.';
grant execute on function market.add_news_scores(text, text, integer[], bigint[], numeric[])
    to tsdb_worker_feeds;
