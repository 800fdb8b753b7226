-- Records an instrument's sensitivity to the market, valid from a time until the next one's.
-- Recorded again for the same time it supersedes. Returns its id.
-- Errors: TT001 a beta that is not finite, or no time; TT002 unknown symbol.
create or replace function signal.save_beta(
    p_symbol text,
    p_beta double precision,
    p_valid_from timestamptz
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_instrument_id integer := ref.instrument_id(p_symbol);
    v_beta_id bigint;
begin
    perform ops._audit('signal.save_beta', p_symbol,
        jsonb_build_object('beta', p_beta, 'valid_from', p_valid_from));
    if (p_beta > '-infinity' and p_beta < 'infinity' and isfinite(p_valid_from)) is not true then
        raise exception 'a beta is a finite number, valid from a time' using errcode = 'TT001';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('signal.save_beta ' || v_instrument_id, 0));
    update signal.betas b set superseded_at = clock_timestamp()
    where b.instrument_id = v_instrument_id and b.valid_from = p_valid_from and b.superseded_at = 'infinity';
    insert into signal.betas (instrument_id, beta, valid_from)
    values (v_instrument_id, p_beta, p_valid_from)
    returning beta_id into v_beta_id;
    return v_beta_id;
end
$$;
comment on function signal.save_beta(text, double precision, timestamptz) is
    'Records an instrument''s sensitivity to the market, valid from a time; returns its id.';
grant execute on function signal.save_beta(text, double precision, timestamptz) to tsdb_ops;
