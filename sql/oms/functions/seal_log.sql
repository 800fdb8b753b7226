-- Seals the order log: lists the chain head of every order that has moved since the last seal, and a
-- digest over the last seal's digest and these. What is returned belongs outside the database
-- (tsdb-trader's scheduler appends it to a file): oms.verify_log compares it. No order waits for it:
-- what is not committed yet is in the next seal. No row when nothing has moved.
create or replace function oms.seal_log()
returns setof oms.seals
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_last oms.seals;
    v_seal oms.seals;
begin
    perform oms._require_read_committed();
    perform pg_advisory_xact_lock(hashtextextended('oms.seals', 0));
    select s.* into v_last from oms.seals s order by s.seal_no desc limit 1;
    v_seal.seal_no := coalesce(v_last.seal_no, 0) + 1;
    v_seal.sealed_at := clock_timestamp();
    -- Taken before looking: a transaction that commits in between is looked at twice, not missed.
    v_seal.xact_horizon := pg_snapshot_xmin(pg_current_snapshot());
    insert into oms.seals (seal_no, sealed_at, heads, last_event_id, xact_horizon, digest)
    values (v_seal.seal_no, v_seal.sealed_at, 0, coalesce(v_last.last_event_id, 0), v_seal.xact_horizon, '');
    insert into oms.sealed_heads (seal_no, order_id, event_no, hash)
    select v_seal.seal_no, e.order_id, e.event_no, e.hash
    from (
        -- Event ids also tell what is new in a database restored elsewhere, whose transactions count anew.
        select distinct on (n.order_id) n.order_id, n.event_no, n.hash
        from oms.order_events n
        where v_last.seal_no is null or n.xact_id >= v_last.xact_horizon or n.event_id > v_last.last_event_id
        order by n.order_id, n.event_no desc) e
    where not exists (
        select from oms.sealed_heads h
        where h.order_id = e.order_id and h.event_no = e.event_no);
    get diagnostics v_seal.heads = row_count;
    if v_seal.heads = 0 then
        delete from oms.seals where seal_no = v_seal.seal_no;
        return;
    end if;
    v_seal.digest := oms._seal_digest(v_seal.seal_no, coalesce(v_last.digest, ''));
    select greatest(coalesce(v_last.last_event_id, 0), max(e.event_id)) into v_seal.last_event_id
    from oms.order_events e
    where v_last.seal_no is null or e.xact_id >= v_last.xact_horizon or e.event_id > v_last.last_event_id;
    update oms.seals s
    set heads = v_seal.heads, digest = v_seal.digest, last_event_id = v_seal.last_event_id
    where s.seal_no = v_seal.seal_no;
    return next v_seal;
end
$$;
comment on function oms.seal_log() is
    'Seals what has moved in the order log since the last seal; returns the seal, to be kept outside the database, or no row.';
grant execute on function oms.seal_log() to tsdb_worker_scheduler, tsdb_ops;
