-- Row trigger: finds the instruments of a headline's symbols, and flags an id that came before in
-- the same feed. In the database, so that every way in does the same.
create or replace function market._resolve_news()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    select coalesce(array_agg(distinct i.instrument_id), '{}') into new.instrument_ids
    from ref.instruments i
    where i.symbol = any (new.symbols) or i.instrument_id = new.instrument_id;
    select coalesce(array_agg(distinct s.symbol), '{}') into new.unresolved
    from unnest(new.symbols) s (symbol)
    where not exists (select from ref.instruments i where i.symbol = s.symbol);
    if new.headline_id is not null then
        insert into market._news_ids (feed_id, headline_id)
        values (new.feed_id, new.headline_id)
        on conflict do nothing;
        if not found then
            new.flags := new.flags | 8;
        end if;
    end if;
    return new;
end
$$;
create or replace trigger resolve_news before insert on market.news
for each row execute function market._resolve_news();
