-- Compares the positions of a session with a statement of them. p_positions: array of objects with
-- account, symbol, quantity (signed), all there are of the accounts it names. Breaks of kind position, by
-- account and symbol; what agrees again is resolved. Returns the number of differences.
-- Errors: TT001 unusable position; TT002 unknown session.
create or replace function oms.reconcile_positions(p_session_id uuid, p_source text, p_positions jsonb)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_difference record;
    v_nobody oms.orders;
    v_found bigint[] := '{}';
begin
    if not exists (select from ops.sessions s where s.session_id = p_session_id) then
        raise exception 'session % does not exist', p_session_id using errcode = 'TT002';
    end if;
    if exists (
        select from jsonb_array_elements(p_positions) t
        where num_nulls(t->>'account', t->>'symbol', t->>'quantity') > 0) then
        raise exception 'a position needs account, symbol and quantity' using errcode = 'TT001';
    end if;
    v_nobody.session_id := p_session_id;
    for v_difference in
        with theirs as (
            select t->>'account' as account, t->>'symbol' as symbol, sum((t->>'quantity')::numeric) as quantity
            from jsonb_array_elements(p_positions) t group by 1, 2),
        ours as (
            select p.account, i.symbol, sum(p.quantity) as quantity
            from portfolio._positions p join ref.instruments i using (instrument_id)
            where p.session_id = p_session_id and p.account in (select t.account from theirs t)
            group by 1, 2)
        select account, symbol, coalesce(o.quantity, 0) as ours, coalesce(t.quantity, 0) as theirs
        from theirs t full join ours o using (account, symbol)
        where coalesce(o.quantity, 0) <> coalesce(t.quantity, 0)
    loop
        v_found := v_found || oms._note_break('position', v_nobody, null,
            jsonb_build_object('quantity', v_difference.ours::text),
            jsonb_build_object('quantity', v_difference.theirs::text),
            v_difference.account || ' ' || v_difference.symbol, p_source);
    end loop;
    perform oms._close_break(b.break_id, 'agreed', 'both sides say the same', 'reconciliation')
    from oms.breaks b
    where b.session_id = p_session_id and b.kind = 'position' and b.source = p_source and b.resolved_at is null
        and b.break_id <> all (v_found)
        and split_part(b.reference, ' ', 1) in (select t->>'account' from jsonb_array_elements(p_positions) t);
    return (select count(*) from oms.breaks b where b.break_id = any (v_found) and b.resolved_at is null);
exception
    when invalid_text_representation then
        raise exception 'a position cannot be used: %', sqlerrm using errcode = 'TT001';
end
$$;
comment on function oms.reconcile_positions(uuid, text, jsonb) is
    'Compares the positions of a session with a statement of them; records and resolves breaks; returns the number of differences.';
grant execute on function oms.reconcile_positions(uuid, text, jsonb) to tsdb_ops;
