-- What a rule finds in batches p_first to p_last of a session, from the stored ticks and headlines, some
-- 20,000 ticks at a time, and the errors it meets (found null).
create or replace function signal._scan_rule(p_rule signal.rules, p_session_id uuid, p_first bigint, p_last bigint)
returns table (key integer, found signal.rule_found, error signal.rule_error)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    v_part record;
    v_events signal.rule_event[];
    v_kept signal.rule_kept[];
    v_done record;
    v_new signal.rule_kept[];
begin
    for v_part in
        select array_agg(b.batch_id order by b.batch_no) as batch_ids, extract(epoch from max(b.as_of)) * 1000000 as until
        from (
            select b.*, sum(b.quote_count + b.trade_count) over (order by b.batch_no) / 20000 as part
            from market.batches b
            where b.session_id = p_session_id and b.batch_no between p_first and p_last) b
        group by b.part order by b.part
    loop
        select array_agg(row(e.n, e.t, e.kind, e.instrument_id, e.bid, e.bid_size, e.ask, e.ask_size, e.price, e.size,
            e.sentiment, e.headline, e.source_id, e.seq)::signal.rule_event order by e.n)
        into v_events
        from (
            select row_number() over (order by b.n, e.no) as n, e.*
            from unnest(v_part.batch_ids) with ordinality b (batch_id, n)
            cross join lateral unnest(signal._batch_events(b.batch_id)) e
            where e.kind = any (p_rule.kinds)) e;
        v_new := '{}';
        for v_done in
            select f.* from signal._fold_rule(p_rule, v_kept, coalesce(v_events, '{}'), v_part.until) f order by f.key
        loop
            v_new := v_new || row(v_done.key, v_done.windows, v_done.machine)::signal.rule_kept;
            return query select v_done.key, row(m.t, m.events)::signal.rule_found, null::signal.rule_error from unnest(v_done.found) m;
            return query select v_done.key, null::signal.rule_found, e from unnest(v_done.errors) e;
        end loop;
        v_kept := v_new;
    end loop;
end
$$;
comment on function signal._scan_rule(signal.rules, uuid, bigint, bigint) is
    'What a rule finds in batches of a session, from the stored ticks and headlines.';
