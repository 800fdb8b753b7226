-- The status of a live order on which nothing is asked of the venue any more, or what is still asked:
-- pending_cancel wins over pending_replace, as in FIX. p_status: stopped, suspended and done_for_day
-- are the venue's word and stay; anything else follows from what is filled.
create or replace function oms._idle_status(p_order_id bigint, p_status text, p_cumulative numeric)
returns text
language plpgsql
stable
as $$
declare
    v_kind text;
begin
    select a.kind into v_kind from oms.order_actions a
    where a.order_id = p_order_id and a.kind <> 'new' and a.status in ('pending', 'sent')
    order by a.kind limit 1;
    return case
        when v_kind is not null then 'pending_' || v_kind
        when p_status in ('stopped', 'suspended', 'done_for_day') then p_status
        when p_cumulative > 0 then 'partially_filled'
        else 'new' end;
end
$$;
comment on function oms._idle_status(bigint, text, numeric) is
    'What a live order''s status is, given what is still asked of the venue.';
