-- What rules find in batches of a session, from the stored ticks and headlines, some 20,000 ticks at a time, and
-- the errors they meet (found null). p_rules, p_first, p_last: which rule over which batches, the same rule
-- several times for several spans that do not overlap. The events are read once for all of them.
create or replace function signal._scan_rules(p_session_id uuid, p_rules integer[], p_first bigint[], p_last bigint[])
returns setof signal.rule_result
language plpgsql
stable
as $$
declare
    v_part record;
    v_events signal.rule_event[];
    v_kept signal.rule_kept[];
    v_done record;
    v_new signal.rule_kept[];
begin
    -- A part ends where a span begins or ends as well, so that a rule is in force in all of it or in nothing of it.
    for v_part in
        select array_agg(b.batch_id order by b.batch_no) as batch_ids, extract(epoch from max(b.as_of)) * 1000000 as until,
               min(b.batch_no) as first_no
        from (
            select b.*, sum(b.quote_count + b.trade_count) over (order by b.batch_no) / 20000 as part,
                   (select count(*) from unnest(p_first) f (no) where f.no <= b.batch_no)
                   + (select count(*) from unnest(p_last) l (no) where l.no < b.batch_no) as changes
            from market.batches b
            where b.session_id = p_session_id and exists (
                select from unnest(p_first, p_last) s (first_no, last_no)
                where b.batch_no between s.first_no and s.last_no)) b
        group by b.part, b.changes order by first_no
    loop
        select array_agg(row(e.n, e.t, e.kind, e.instrument_id, e.bid, e.bid_size, e.ask, e.ask_size, e.price, e.size,
            e.sentiment, e.headline, e.source_id, e.seq)::signal.rule_event order by e.n)
        into v_events
        from (
            select row_number() over (order by b.n, e.no) as n, e.*
            from unnest(v_part.batch_ids) with ordinality b (batch_id, n)
            cross join lateral unnest(signal._batch_events(b.batch_id)) e) e;
        -- Without those of spans that are over.
        select array_agg(k) into v_kept
        from unnest(v_kept) k
        join unnest(p_rules, p_first, p_last) s (rule_id, first_no, last_no)
            on s.rule_id = k.rule_id and s.first_no < v_part.first_no and s.last_no >= v_part.first_no;
        v_new := '{}';
        for v_done in
            select f.*, s.first_no
            from unnest(p_rules, p_first, p_last) s (rule_id, first_no, last_no)
            join signal._fold_rules(
                array(
                    select s.rule_id from unnest(p_rules, p_first, p_last) s (rule_id, first_no, last_no)
                    where v_part.first_no between s.first_no and s.last_no),
                v_kept, coalesce(v_events, '{}'), v_part.until) f on f.rule_id = s.rule_id
            where v_part.first_no between s.first_no and s.last_no
        loop
            v_new := v_new || row(v_done.rule_id, v_done.key, v_done.windows, v_done.machine)::signal.rule_kept;
            return query
            select v_done.rule_id, v_done.first_no, v_done.key, row(m.t, m.events)::signal.rule_found, null::signal.rule_error
            from unnest(v_done.found) m;
            return query
            select v_done.rule_id, v_done.first_no, v_done.key, null::signal.rule_found, e from unnest(v_done.errors) e;
        end loop;
        v_kept := v_new;
    end loop;
end
$$;
comment on function signal._scan_rules(uuid, integer[], bigint[], bigint[]) is
    'What rules find in batches of a session, from the stored ticks and headlines.';
