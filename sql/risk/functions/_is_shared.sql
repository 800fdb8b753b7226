-- Whether accounts share a limit of this control, so that their own locks are not enough: oms._lock_shared. Inlined
-- into the statement that asks.
create or replace function risk._is_shared(p_control text)
returns boolean
language sql
immutable
parallel safe
as $$
    select p_control in (
        'message_rate_strategy', 'message_rate_venue', 'repeated_execution', 'capital', 'self_match')
$$;
comment on function risk._is_shared(text) is 'Whether accounts share a limit of a control.';
