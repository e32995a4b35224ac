-- Control database: sounds, and the catalogue that PoPs replicate.

create table sounds (
    id bigint primary key,
    title text not null,
    artist text not null default '',
    duration_ms int not null default 0,
    object_key text,
    licence text not null default 'free' check (licence in ('free', 'licensed', 'restricted')),
    uses bigint not null default 0,
    created_at timestamptz not null default now()
);
create index sounds_search on sounds using gin ((lower(title || ' ' || artist)) gin_trgm_ops);
create index sounds_popular on sounds (uses desc, id desc);
-- Which videos use a sound: makes the use count exact under repeated records.
create table sound_uses (
    sound_id bigint not null,
    video_id bigint not null,
    primary key (sound_id, video_id)
);

-- Everything published now: the snapshot. Written only by the catalogue projection, with the log, in one transaction.
create table catalogue_items (
    video_id bigint primary key,
    seq bigint not null,
    item jsonb not null
);
create table catalogue_log (
    seq bigint primary key,
    kind text not null check (kind in ('upsert', 'counters', 'tombstone')),
    video_id bigint not null,
    body jsonb,
    logged_at timestamptz not null default now()
);
