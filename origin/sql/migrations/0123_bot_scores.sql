-- Bot scores (SPEC A6): when each account was judged last, what the score is made of, and what an operator decided.
alter table users
    add column bot_scored_at timestamptz,
    add column bot_parts jsonb not null default '{}',
    add column shadow_override text check (shadow_override in ('on', 'off'));
create index users_bot_due on users (bot_scored_at nulls first) where state = 'active';
-- A device, hashed: several accounts of one device are one of the parts.
alter table sessions add column device_hash text;
create index sessions_by_device on sessions (device_hash, user_id) where device_hash is not null;
