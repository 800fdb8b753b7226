-- The matches of a rule's current version as features: one row per match of an instrument that became known in
-- (p_from, p_to], with the number of its matches up to then. A match that several sessions found counts once, from
-- the earliest end of a batch that brought it: known to nobody before. For inputs functions of strategies.
-- Errors: TT002 unknown rule.
create or replace function signal.match_features(
    p_rule text,
    p_instruments integer[],
    p_from timestamptz,
    p_to timestamptz
)
returns table (as_of timestamptz, instrument_id integer, matches bigint)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    v_rule_id integer;
begin
    select r.rule_id into v_rule_id from signal.rules r where r.rule = p_rule and r.superseded_at = 'infinity';
    if v_rule_id is null then
        raise exception 'unknown rule "%": see tsdb-trader rule list', p_rule using errcode = 'TT002';
    end if;
    return query
    select c.known_at, c.instrument_id, c.matches
    from (
        select k.known_at, k.instrument_id,
               count(*) over (partition by k.instrument_id order by k.known_at, k.matched_at rows unbounded preceding) as matches
        from (
            select min(m.known_at) as known_at, m.instrument_id, m.as_of as matched_at
            from signal.rule_matches m
            where m.rule_id = v_rule_id and m.instrument_id = any (p_instruments) and m.as_of <= p_to
            group by m.instrument_id, m.as_of) k) c
    where c.known_at > p_from and c.known_at <= p_to
    order by c.known_at, c.instrument_id, c.matches;
end
$$;
comment on function signal.match_features(text, integer[], timestamptz, timestamptz) is
    'The matches of a rule as features: how many of an instrument were known, one row for each that became known in a window.';
grant execute on function signal.match_features(text, integer[], timestamptz, timestamptz) to tsdb_reader;
