-- Whether this server keeps rollups itself (Community edition: continuous aggregates). The only
-- question about the edition in the project.
create or replace function market._is_native()
returns boolean
language sql
stable
as $$
    select current_setting('timescaledb.license', true) is distinct from 'apache'
$$;
