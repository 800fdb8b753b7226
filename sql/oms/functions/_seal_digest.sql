-- SHA-256 over the digest of the seal before and the chain heads that a seal lists.
create or replace function oms._seal_digest(p_seal_no bigint, p_previous bytea)
returns bytea
language sql
stable
as $$
    select sha256(p_previous || convert_to(p_seal_no::text, 'UTF8') || coalesce(string_agg(
        convert_to('|' || h.order_id || ':' || h.event_no || ':', 'UTF8') || h.hash, '' order by h.order_id), ''))
    from oms.sealed_heads h
    where h.seal_no = p_seal_no
$$;
comment on function oms._seal_digest(bigint, bytea) is 'The digest that a seal should have.';
