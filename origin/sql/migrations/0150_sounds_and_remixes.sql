-- The file of a library sound: prepared by a worker before clips may mix it. `object_key` is the prepared file.
alter table sounds
    add column state text not null default 'absent' check (state in ('absent', 'processing', 'ready', 'failed')),
    add column size_bytes bigint not null default 0,
    add column loudness_lufs real,
    add column fingerprint text,            -- Chromaprint, AcoustID's compressed base64
    add column error text,
    add column source_video_id bigint;      -- the sound of a video: its media is that video's, never a copy
create unique index sounds_of_videos on sounds (source_video_id) where source_video_id is not null;

-- What a video was made with, and whether others may make theirs with it (duet, stitch, sound).
alter table videos
    add column partner_id bigint,
    add column remixes_open boolean not null default true;
