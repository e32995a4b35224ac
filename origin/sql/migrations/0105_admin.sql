-- Control database: what operators did, kept for good.
create table audit_log (
    id bigint generated always as identity primary key,
    operator text not null,
    action text not null,
    subject text not null,
    detail jsonb not null default '{}',
    at timestamptz not null default now()
);
create index audit_log_subject on audit_log (subject, id desc);
-- Erasure finds what a user did on every video shard.
create index engagements_by_user on engagements (user_id);
create index comment_likes_by_user on comment_likes (user_id);
create index shares_by_user on shares (user_id);
