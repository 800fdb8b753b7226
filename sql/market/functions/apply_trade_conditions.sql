-- Applies the rules of a vocabulary (ref.trade_conditions) to trades stored before the rules
-- changed: of one feed, with p_from <= ts < p_to. Returns how many trades count differently now;
-- the bars they are in follow. TT002 for an unknown feed or vocabulary.
create or replace function market.apply_trade_conditions(
    p_feed text,
    p_vocabulary text,
    p_from timestamptz default '-infinity',
    p_to timestamptz default 'infinity'
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_feed_id integer;
    v_conditions text[];
    v_changed bigint;
begin
    perform ops._audit('market.apply_trade_conditions', p_feed,
        jsonb_build_object('vocabulary', p_vocabulary, 'from', p_from, 'to', p_to));
    select f.feed_id into v_feed_id from ops.feeds f where f.feed = p_feed;
    if v_feed_id is null then
        raise exception 'unknown feed %', p_feed using errcode = 'TT002';
    end if;
    select array_agg(distinct coalesce(t.conditions, '')) into v_conditions
    from market._trades t where t.feed_id = v_feed_id and t.ts >= p_from and t.ts < p_to;
    with rules as materialized (
        select r.conditions, r.flags
        from unnest(v_conditions, ref.condition_flags(p_vocabulary, v_conditions))
            r (conditions, flags)
    ),
    changed as (
        update market._trades t
        set flags = (t.flags & ~112::smallint) | r.flags
        from rules r
        where t.feed_id = v_feed_id and t.ts >= p_from and t.ts < p_to
            and coalesce(t.conditions, '') = r.conditions
            and t.flags & 112::smallint <> r.flags
        returning 1
    )
    select count(*) into v_changed from changed;
    return v_changed;
end
$$;
comment on function market.apply_trade_conditions(text, text, timestamptz, timestamptz) is
    'Applies changed rules of ref.trade_conditions to stored trades of a feed; returns how many changed.';
grant execute on function market.apply_trade_conditions(text, text, timestamptz, timestamptz) to tsdb_ops;
