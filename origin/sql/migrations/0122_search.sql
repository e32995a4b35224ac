-- What videos are found by. A row for each that is out for everybody; origin/search/video_index.py writes it in the
-- transaction that publishes, changes or withdraws the video.
--
-- `hot` is the order of results: seconds since 2025 of the publication, and two days more for every doubling of what
-- people did with it. It rises with time, so an index by its fortnight ("bucket") lets a query for common words stop
-- after the newest: every word stands in `words` twice, as it is and with its bucket before it. "t:" marks words of the
-- title and the hashtags.
create table video_search (
    video_id bigint primary key,
    shard smallint not null,
    hot int not null,
    words tsvector not null
) with (fillfactor = 90);
create index video_search_shard on video_search (shard);
create index video_search_words on video_search using gin (words) with (fastupdate = off);
drop index videos_search;

-- Doublings of engagement, 0 to 20. Views weigh little: they are cheap to make.
create function search_step(views bigint, likes bigint, comments bigint, shares bigint) returns int
language sql immutable parallel safe
return least(20, floor(log(2, greatest(1, 1 + likes + 2 * (comments + shares) + views / 20)))::int);

-- `query`: a tsquery with '%' before every lexeme, where a bucket may go. Rows after (before_hot, before_id), best first.
-- The newest buckets one by one, which is enough for common words; then everything older at once, which is little for
-- the others. Bitmap scans only: a generic plan must not remember that the table was empty.
create function search_videos(query text, before_hot int, before_id bigint, wanted int)
returns table (video_id bigint, hot int) language plpgsql stable parallel safe
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    width constant int := 14 * 86400;
    now_bucket constant int := (extract(epoch from now())::int - 1735689600) / width;
    bucket int := least(before_hot / width, now_bucket + 3);
    asked tsquery;
    found int;
begin
    while bucket > now_bucket - 4 and bucket >= 0 loop
        asked := replace(query, '%', bucket || ':')::tsquery;
        return query select s.video_id, s.hot from video_search s
            where s.words @@ asked and (s.hot, s.video_id) < (before_hot, before_id)
            order by s.hot desc, s.video_id desc limit wanted;
        get diagnostics found = row_count;
        wanted := wanted - found;
        if wanted <= 0 then
            return;
        end if;
        bucket := bucket - 1;
    end loop;
    asked := replace(query, '%', '')::tsquery;
    return query select s.video_id, s.hot from video_search s
        where s.words @@ asked and s.hot < (bucket + 1) * width and (s.hot, s.video_id) < (before_hot, before_id)
        order by s.hot desc, s.video_id desc limit wanted;
end $$;

-- The words in use on this server and in how many videos: what typos are corrected to. Changes are journalled, as
-- counters are, and added up by a duty: publishing locks no word that others use.
create table search_words (word text collate "C" primary key, videos bigint not null);
create index search_words_similar on search_words using gin (word gin_trgm_ops);
create table search_changes (
    id bigint generated always as identity primary key,
    words tsvector not null,
    delta smallint not null
);
create function note_search_words() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into search_changes (words, delta) select words, 1 from changed;
    else
        insert into search_changes (words, delta) select words, -1 from changed;
    end if;
    return null;
end $$;
create trigger video_search_added after insert on video_search
    referencing new table as changed for each statement execute function note_search_words();
create trigger video_search_removed after delete on video_search
    referencing old table as changed for each statement execute function note_search_words();

create function similar_words(asked text, wanted int) returns setof text
language sql stable parallel safe set pg_trgm.similarity_threshold = 0.3 begin atomic
    (select word from search_words where word % asked and videos > 0 order by similarity(word, asked) desc, videos desc limit wanted)
    union
    (select word from search_words where word >= asked and word < asked || chr(1114111) and videos > 0
     order by videos desc limit wanted / 4);
end;
