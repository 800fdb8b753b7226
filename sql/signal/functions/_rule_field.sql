-- A field of an instrument's stream as SQL over the variables of a compiled rule: number p_stream of the
-- rule's instruments, 0 the one it is evaluated for. Fields hold the last known value.
create or replace function signal._rule_field(p_field text, p_stream integer)
returns jsonb
language plpgsql
immutable
as $$
declare
    v_kind integer;
    v_sql text;
begin
    select f.kind, f.sql into v_kind, v_sql
    from (values
        ('bid', 1, 'bid_%1$s'), ('bid_size', 1, 'bid_size_%1$s'),
        ('ask', 1, 'ask_%1$s'), ('ask_size', 1, 'ask_size_%1$s'),
        ('mid', 1, '((bid_%1$s + ask_%1$s) / 2)'),
        ('spread', 1, '(ask_%1$s - bid_%1$s)'),
        ('spread_bps', 1, '(2e4::float8 * (ask_%1$s - bid_%1$s) / (ask_%1$s + bid_%1$s))'),
        ('imbalance', 1, '((bid_size_%1$s - ask_size_%1$s) / nullif(bid_size_%1$s + ask_size_%1$s, 0))'),
        ('price', 2, 'price_%1$s'), ('size', 2, 'size_%1$s'),
        ('value', 2, '(price_%1$s * size_%1$s)'),
        ('sentiment', 3, 'sentiment_%1$s'),
        ('quotes', 1, null), ('trades', 2, null), ('news', 3, null)
    ) f (field, kind, sql)
    where f.field = p_field;
    if not found then
        perform signal._check_word('field', p_field, array[
            'bid', 'bid_size', 'ask', 'ask_size', 'mid', 'spread', 'spread_bps', 'imbalance', 'price', 'size',
            'value', 'sentiment', 'quotes', 'trades', 'news']);
    end if;
    return jsonb_build_object(
        'type', case when v_sql is null then 'events' else 'number' end,
        'sql', format(v_sql, p_stream), 'src', p_field,
        'uses', jsonb_build_array(jsonb_build_array(p_stream, v_kind)));
end
$$;
comment on function signal._rule_field(text, integer) is 'A field of a rule as SQL over the variables of a compiled rule.';
