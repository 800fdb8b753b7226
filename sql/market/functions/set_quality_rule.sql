-- Sets a rule's threshold for a scope ({}, or feed, symbol or both), superseding the one in force;
-- null withdraws it, so that the next wider one holds. Who, when and why is kept. Days measured with
-- another threshold are measured anew. Returns the new row's id.
-- Errors: TT001 a scope, threshold or reason of no use; TT002 an unknown rule, feed or symbol.
create or replace function market.set_quality_rule(
    p_rule text, p_threshold double precision, p_reason text, p_scope jsonb default '{}'
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_stage text;
    v_threshold_id bigint;
begin
    perform ops._audit('market.set_quality_rule', p_rule,
        jsonb_build_object('threshold', p_threshold, 'scope', p_scope), p_reason);
    select r.stage into v_stage from market.quality_rules r where r.rule = p_rule;
    if v_stage is null then
        raise exception 'unknown rule %: use one of %', coalesce(p_rule, 'null'),
            (select string_agg(r.rule, ', ' order by r.rule) from market.quality_rules r)
            using errcode = 'TT002';
    elsif p_scope is null or jsonb_typeof(p_scope) <> 'object'
        or p_scope - '{feed,symbol}'::text[] <> '{}'
        or exists (select from jsonb_each(p_scope) s where jsonb_typeof(s.value) <> 'string')
    then
        raise exception 'scope % is not of use: say {}, or feed, symbol or both', p_scope
            using errcode = 'TT001';
    elsif v_stage = 'load' and p_scope ? 'symbol' then
        raise exception 'rule % holds for whole feeds: leave out the symbol', p_rule
            using errcode = 'TT001';
    elsif v_stage = 'cross' and p_scope ? 'feed' then
        raise exception 'rule % is about two feeds: leave out the feed', p_rule
            using errcode = 'TT001';
    elsif not (p_threshold >= 0 and p_threshold < 'infinity') then
        raise exception 'threshold % is not a number of at least 0', p_threshold
            using errcode = 'TT001';
    elsif p_threshold is null and p_scope = '{}' then
        raise exception 'rule % needs a threshold for everything', p_rule using errcode = 'TT001';
    elsif coalesce(p_reason, '') = '' then
        raise exception 'a threshold needs a reason' using errcode = 'TT001';
    elsif p_scope ? 'feed'
        and not exists (select from ops.feeds f where f.feed = p_scope->>'feed')
    then
        raise exception 'unknown feed %: see ops.feeds', p_scope->>'feed' using errcode = 'TT002';
    elsif p_scope ? 'symbol' then
        perform ref.instrument_id(p_scope->>'symbol');
    end if;
    perform from market.quality_rules r where r.rule = p_rule for no key update;
    update market.quality_thresholds t set superseded_at = clock_timestamp()
    where t.rule = p_rule and t.scope = p_scope and t.superseded_at = 'infinity';
    if p_threshold is not null then
        insert into market.quality_thresholds (rule, scope, threshold, reason)
        values (p_rule, p_scope, p_threshold, p_reason)
        returning threshold_id into v_threshold_id;
    end if;
    if v_stage = 'measure' then
        insert into market.quality_changes (feed_id, day, instrument_ids)
        select d.feed_id, d.day, array_agg(d.instrument_id)
        from market.quality_days d
        join ops.feeds f on f.feed_id = d.feed_id
        join ref.instruments i on i.instrument_id = d.instrument_id
        where f.feed = coalesce(p_scope->>'feed', f.feed)
            and i.symbol = coalesce(p_scope->>'symbol', i.symbol)
        group by d.feed_id, d.day;
    end if;
    return v_threshold_id;
end
$$;
comment on function market.set_quality_rule(text, double precision, text, jsonb) is
    'Sets (or, with null, withdraws) a quality rule''s threshold for a scope: {}, or feed, symbol or both. History: market.quality_thresholds.';
grant execute on function market.set_quality_rule(text, double precision, text, jsonb) to tsdb_ops;
