-- Videos and all that hangs on one, by video shard.

create table videos (
    id bigint primary key,
    shard smallint not null,
    owner_id bigint not null,
    state text not null default 'created'
        check (state in ('created', 'uploaded', 'processing', 'ready', 'review', 'blocked', 'failed', 'deleted')),
    version bigint not null default 1,  -- raised by every transition; the compare-and-set value
    stage text not null default '',
    progress real not null default 0,
    attempt int not null default 0,
    error_code text,
    error_detail text,
    title text not null default '',
    description text not null default '',
    hashtags text[] not null default '{}',
    sound_id bigint,
    sound_title text,
    sound_artist text,
    visibility text not null default 'public' check (visibility in ('public', 'unlisted', 'followers', 'private')),
    publish_at timestamptz,             -- schedule; null: as soon as it plays
    edits jsonb not null default '{}',
    region text not null default '',
    revision int not null default 1,    -- being made
    ready_revision int,                 -- being served
    original_key text,
    manifest jsonb,
    complete boolean not null default false,  -- every rung is there
    embedding bytea,                    -- 256 little-endian float16
    embedding_space text,
    comments_open boolean not null default true,
    shadow_banned boolean not null default false,
    created_at timestamptz not null default now(),
    uploaded_at timestamptz,
    published_at timestamptz,
    deleted_at timestamptz
);
create index videos_shard on videos (shard);
create index videos_by_owner on videos (owner_id, id desc);
create index videos_scheduled on videos (publish_at) where state = 'processing' and publish_at is not null;
create index videos_unfinished on videos (created_at) where state = 'created';
create index videos_search on videos using gin ((lower(title || ' ' || description)) gin_trgm_ops)
    where state = 'ready' and visibility = 'public' and not shadow_banned;
create index videos_by_sound on videos (sound_id, published_at desc, id desc)
    where state = 'ready' and visibility = 'public' and not shadow_banned;

-- Apart from videos: counters change a thousand times as often.
create table video_counters (
    video_id bigint primary key,
    shard smallint not null,
    views bigint not null default 0,
    likes bigint not null default 0,
    comments bigint not null default 0,
    shares bigint not null default 0,
    bookmarks bigint not null default 0,
    watch_ms bigint not null default 0
);
-- Increments commit with their cause; the flusher adds them up and deletes them in one transaction: exactly once.
create table counter_journal (
    id bigint generated always as identity primary key,
    video_id bigint not null,
    shard smallint not null,
    views int not null default 0,
    likes int not null default 0,
    comments int not null default 0,
    shares int not null default 0,
    bookmarks int not null default 0,
    watch_ms bigint not null default 0
);

create table uploads (
    video_id bigint primary key references videos (id) on delete cascade,
    shard smallint not null,
    owner_id bigint not null,
    revision int not null,
    protocol text not null check (protocol in ('parts', 'tus', 'presigned')),
    object_key text not null,
    s3_upload_id text not null,
    filename text not null,
    size bigint,                        -- null: not told yet (tus defer-length)
    received bigint not null default 0, -- tus offset
    idempotency_key text,
    state text not null default 'open' check (state in ('open', 'complete')),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index uploads_expired on uploads (expires_at) where state = 'open';
create table upload_parts (
    video_id bigint not null references uploads (video_id) on delete cascade,
    number int not null check (number between 1 and 10000),
    shard smallint not null,
    size bigint not null,
    etag text not null,
    primary key (video_id, number)
);

-- Idempotency-Key of init, by user shard: which video a key made.
create table idempotency_keys (
    user_id bigint not null,
    key text not null,
    shard smallint not null,
    video_id bigint not null,
    created_at timestamptz not null default now(),
    primary key (user_id, key)
);

create table engagements (
    video_id bigint not null,
    user_id bigint not null,
    kind text not null check (kind in ('like', 'bookmark')),
    shard smallint not null,
    created_at timestamptz not null default now(),
    primary key (video_id, kind, user_id)
);
create table shares (
    id bigint primary key,
    video_id bigint not null,
    user_id bigint not null,
    shard smallint not null,
    channel text not null,
    key text,
    created_at timestamptz not null default now(),
    unique (video_id, user_id, key)
);
create index shares_by_video on shares (video_id);

create table comments (
    id bigint primary key,
    video_id bigint not null,
    shard smallint not null,
    user_id bigint not null,
    parent_id bigint,
    body text not null,
    likes int not null default 0,
    replies int not null default 0,
    pinned boolean not null default false,
    state text not null default 'visible' check (state in ('visible', 'hidden', 'deleted')),
    created_at timestamptz not null default now()
);
create index comments_page on comments (video_id, pinned desc, id desc) where parent_id is null and state = 'visible';
create index comments_replies on comments (parent_id, id) where parent_id is not null and state = 'visible';
create index comments_by_user on comments (user_id);
create table comment_likes (
    comment_id bigint not null,
    user_id bigint not null,
    video_id bigint not null,
    shard smallint not null,
    primary key (comment_id, user_id)
);
create index comment_likes_by_video on comment_likes (video_id);

create table video_hashtags (
    tag text not null,
    video_id bigint not null,
    shard smallint not null,
    published_at timestamptz not null,
    primary key (tag, video_id)
);
create index video_hashtags_page on video_hashtags (tag, published_at desc, video_id desc);
create index video_hashtags_by_video on video_hashtags (video_id);
create index video_hashtags_prefix on video_hashtags (tag text_pattern_ops);
create table hashtag_hours (
    tag text not null,
    hour timestamptz not null,
    views bigint not null default 0,
    primary key (hour, tag)
);

-- Watch events, one partition a day (origin/watch_events.py makes and drops them). `event_key` = xxh3_128 of viewer,
-- video and event id; unique within its day, and the two days beside it are checked at ingest.
create table watch_events (
    day date not null,
    event_key uuid not null,
    video_id bigint not null,
    shard smallint not null,
    viewer text not null,
    pop_id text not null,
    received_at timestamptz not null,
    watch_ms int not null,
    total_ms int not null,
    flags smallint not null,            -- 1 liked 2 commented 4 shared 8 followed 16 not interested
    source text not null,
    device text not null,
    session_id text,
    impression text,
    start_ms int,
    rebuffers int not null default 0,
    primary key (day, event_key)
) partition by range (day);
create index watch_events_by_video on watch_events (video_id, received_at);
create index watch_events_by_viewer on watch_events (viewer, received_at);

create function notify_video() returns trigger language plpgsql as $$
begin
    perform pg_notify('popreel_video', new.id::text);
    return null;
end $$;
create trigger videos_notify after update on videos for each row
    when (old.state is distinct from new.state or old.stage is distinct from new.stage
        or old.progress is distinct from new.progress or old.version is distinct from new.version)
    execute function notify_video();
