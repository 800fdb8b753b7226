-- The vector of p_count elements in a sum of multiples of numbers of risk._pack, times p_unit.
create or replace function risk._unpack(p_packed numeric, p_count integer, p_unit double precision default 1)
returns double precision[]
-- plpgsql, because a function in language sql is planned again at every call.
language plpgsql
immutable
strict
parallel safe
as $$
begin
    return (
        -- Bytes, not text, which would be counted from its beginning for every element.
        with digits as materialized (
            select pg_catalog.convert_to(pg_catalog.lpad(
                (p_packed + pg_catalog.repeat('500000000000000000000000', p_count)::numeric)::text, 24 * p_count, '0'),
                'UTF8') as bytes)
        -- In the order they are made: to sort them would copy all digits for each.
        select array(
            select (pg_catalog.encode(pg_catalog.substring(d.bytes, 24 * n + 1, 24), 'escape')::numeric
                - 500000000000000000000000)::double precision * (p_unit / 1e9)
            from pg_catalog.generate_series(0, p_count - 1) n)
        from digits d);
end
$$;
comment on function risk._unpack(numeric, integer, double precision) is 'The vector that risk._pack made one number of.';
