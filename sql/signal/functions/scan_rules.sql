-- What a rule finds in a session, from its stored ticks, headlines and recorded batches: the same as evaluated
-- batch by batch. Where the version was evaluated in the session, over the batches on which it was (each span
-- by itself), else over all of them, whether it is enabled and valid or not. Stores nothing.
-- p_rule null: every current rule, and every version that was evaluated.
-- Errors: TT002 an unknown rule, version or session.
create or replace function signal.scan_rules(p_rule text, p_session_id uuid, p_version integer default null)
returns table (
    rule text,
    version integer,
    first_batch_no bigint,
    as_of timestamptz,
    batch_no bigint,
    known_at timestamptz,
    instrument_id integer,
    events jsonb
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set extra_float_digits = 1
as $$
#variable_conflict use_column
declare
    v_rules integer[];
    v_first bigint[];
    v_last bigint[];
begin
    if not exists (select from ops.sessions s where s.session_id = p_session_id) then
        raise exception 'session % does not exist', p_session_id using errcode = 'TT002';
    elsif p_rule is not null then
        perform signal._check_word('rule', p_rule, array(select distinct r.rule from signal.rules r order by 1));
    end if;
    select array_agg(p.rule_id), array_agg(p.first_no), array_agg(p.last_no) into v_rules, v_first, v_last
    from signal.rules r
    cross join lateral (
        select r.rule_id, s.first_batch_no as first_no, coalesce(s.last_batch_no, l.batch_no) as last_no
        from signal.rule_spans s
        left join (select max(b.batch_no) as batch_no from signal.rule_batches b where b.session_id = p_session_id) l on true
        where s.session_id = p_session_id and s.rule_id = r.rule_id
        union all
        select r.rule_id, 1, coalesce((select max(b.batch_no) from market.batches b where b.session_id = p_session_id), 0)
        where not exists (
            select from signal.rule_spans s where s.session_id = p_session_id and s.rule_id = r.rule_id)) p
    where (p_rule is null or r.rule = p_rule)
        and case when p_version is not null then r.version = p_version
            else r.superseded_at = 'infinity' or p_rule is null and exists (
                select from signal.rule_spans s where s.session_id = p_session_id and s.rule_id = r.rule_id) end;
    if v_rules is null and p_version is not null then
        raise exception 'rule % has no version %', p_rule, p_version using errcode = 'TT002';
    end if;
    return query select * from signal._scan_spans(p_session_id, v_rules, v_first, v_last);
end
$$;
comment on function signal.scan_rules(text, uuid, integer) is
    'What a rule finds in a session, from its stored ticks and headlines: the same as evaluated batch by batch.';
grant execute on function signal.scan_rules(text, uuid, integer) to tsdb_reader;
