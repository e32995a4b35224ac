-- Accounts, by user shard. Username uniqueness spans shards, so names live in the control database.

create table usernames (
    name_key text primary key,          -- casefolded
    user_id bigint not null,
    reserved_at timestamptz not null default now(),
    confirmed boolean not null default false,
    listed boolean not null default true -- false: never suggested (teens, deleted)
);
create unique index usernames_by_user on usernames (user_id);
create index usernames_prefix on usernames (name_key text_pattern_ops);

create table users (
    id bigint primary key,
    shard smallint not null,
    username text not null,
    display_name text not null,
    bio text not null default '',
    avatar_key text,
    password_hash text,                 -- argon2id; null: no password sign-in
    birthdate date,
    teen boolean not null default false,
    private boolean not null default false,
    tier text not null default 'free',
    verified boolean not null default false,
    banned_at timestamptz,
    shadow_banned boolean not null default false,
    bot_score real not null default 0,
    state text not null default 'active' check (state in ('active', 'deleted', 'erased')),
    tokens_after timestamptz not null default '-infinity',
    followers bigint not null default 0,
    following bigint not null default 0,
    likes bigint not null default 0,
    likes_seq bigint not null default 0, -- last record of the log added to likes
    videos bigint not null default 0,
    created_at timestamptz not null default now(),
    deleted_at timestamptz
);
create index users_shard on users (shard);
create index users_search on users using gin ((lower(username || ' ' || display_name)) gin_trgm_ops)
    where state = 'active' and not teen and not shadow_banned and banned_at is null;

create table sessions (
    id bigint primary key,
    user_id bigint not null references users (id) on delete cascade,
    shard smallint not null,
    device text not null default '',
    created_at timestamptz not null default now(),
    ended_at timestamptz,
    end_reason text
);
create index sessions_by_user on sessions (user_id);

-- Every refresh token ever given in a session, by hash: presenting a used one ends the session.
create table refresh_tokens (
    hash bytea primary key,
    session_id bigint not null references sessions (id) on delete cascade,
    shard smallint not null,
    expires_at timestamptz not null,
    used_at timestamptz
);
create index refresh_tokens_by_session on refresh_tokens (session_id);
create index refresh_tokens_expired on refresh_tokens (expires_at);

-- Control database: what PoPs follow to learn of ended sessions; dense seq.
create table revocations (
    seq bigint primary key,
    user_id bigint not null,
    session_id bigint,
    at_ms bigint not null
);

-- By follower: the truth. By followee: a copy applied at once and guaranteed by the outbox.
create table follows (
    follower_id bigint not null,
    followee_id bigint not null,
    shard smallint not null,
    accepted boolean not null default true,     -- false: a private account has not answered yet
    created_at timestamptz not null default now(),
    primary key (follower_id, followee_id)
);
create index follows_page on follows (follower_id, created_at desc, followee_id desc);
create table followers (
    followee_id bigint not null,
    follower_id bigint not null,
    shard smallint not null,
    created_at timestamptz not null default now(),
    primary key (followee_id, follower_id)
);
create index followers_page on followers (followee_id, created_at desc, follower_id desc);

create table restrictions (
    user_id bigint not null,
    target_id bigint not null,
    kind text not null check (kind in ('block', 'mute')),
    shard smallint not null,
    created_at timestamptz not null default now(),
    primary key (user_id, target_id, kind)
);

-- A user's videos and own engagements, by user shard, so that a profile is one query.
create table user_videos (
    user_id bigint not null,
    video_id bigint not null,
    shard smallint not null,
    state text not null,
    visibility text not null,
    version bigint not null,            -- of the videos row; an older copy never overwrites a newer one
    primary key (user_id, video_id)
);
create index user_videos_page on user_videos (user_id, video_id desc) where state <> 'deleted';
create table user_engagements (
    user_id bigint not null,
    kind text not null check (kind in ('like', 'bookmark')),
    video_id bigint not null,
    shard smallint not null,
    created_at timestamptz not null default now(),
    primary key (user_id, kind, video_id)
);
create index user_engagements_page on user_engagements (user_id, kind, created_at desc, video_id desc);

create table notifications (
    id bigint primary key,
    user_id bigint not null,
    shard smallint not null,
    kind text not null,
    payload jsonb not null,
    created_at timestamptz not null default now(),
    read_at timestamptz
);
create index notifications_page on notifications (user_id, id desc);

-- Erasure of an account (A5): one row per step, kept as the receipt; and of any single video.
create table erasures (
    subject text not null,              -- 'user:123'
    step text not null,
    shard smallint not null,
    done_at timestamptz not null default now(),
    detail jsonb not null default '{}',
    primary key (subject, step)
);
