-- Every score of every headline, one row each.
create or replace view market.news_sentiment as
select n.ts, n.recv_ts, n.source_id, n.seq, n.headline, n.instrument_ids, n.model, n.model_version,
       n.sentiment, true as at_load, null::timestamptz as scored_at
from market.news n where n.sentiment is not null
union all
select n.ts, n.recv_ts, n.source_id, n.seq, n.headline, n.instrument_ids, s.model, s.model_version,
       s.sentiment, false, s.scored_at
from market.news_scores s
join market.news n on n.source_id = s.source_id and n.seq = s.seq;
comment on view market.news_sentiment is
    'Every score of every headline: that of its storing (at_load), which strategies see unless they name a model, and later ones.';
grant select on market.news_sentiment to tsdb_reader;
