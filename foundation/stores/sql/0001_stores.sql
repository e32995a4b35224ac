-- Foundation tables, on every server.

-- A logical shard that has left this server. Writers enter their shard first; the mover fences it.
create table shard_fences (
    family text not null check (family in ('video', 'user')),
    shard smallint not null,
    moved_to text not null,
    fenced_at timestamptz not null default now(),
    primary key (family, shard)
);

-- Shared lock for the length of the writer's transaction: the mover's exclusive lock waits for running writers and
-- later ones see the fence. PR001 = this shard lives elsewhere now.
create function shard_enter(in_family text, in_shard smallint) returns void language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(case in_family when 'video' then 7701 else 7702 end, in_shard);
    if exists (select 1 from shard_fences where family = in_family and shard = in_shard) then
        raise exception 'shard % % moved', in_family, in_shard using errcode = 'PR001';
    end if;
end $$;

-- Control database: shards that live elsewhere than the settings say.
create table shard_moves (
    family text not null check (family in ('video', 'user')),
    shard smallint not null,
    server text not null,
    moved_at timestamptz not null default now(),
    primary key (family, shard)
);

create table jobs (
    id uuid primary key default gen_random_uuid(),
    kind text not null,
    key text not null,
    family text not null,
    shard smallint not null,
    payload jsonb not null default '{}',
    state text not null default 'queued' check (state in ('queued', 'running', 'failed')),
    priority smallint not null default 0,
    run_at timestamptz not null default now(),
    attempts int not null default 0,
    lost int not null default 0,
    lease_until timestamptz,
    lease_token uuid,
    worker text,
    error text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check ((state = 'running') = (lease_token is not null))
);
-- One live job for one thing: enqueueing twice is enqueueing once.
create unique index jobs_live on jobs (kind, key) where state in ('queued', 'running');
create index jobs_ready on jobs (kind, priority desc, run_at) where state = 'queued';
create index jobs_leased on jobs (lease_until) where state = 'running';
create index jobs_failed on jobs (kind, updated_at) where state = 'failed';

-- Records that commit with the change they announce; the relay moves them to outbox_log and deletes them here.
-- Order per key holds: writers take the key's row lock before they draw an id.
create table outbox (
    id bigint generated always as identity primary key,
    topic text not null,
    key text not null,
    payload jsonb not null,
    created_at timestamptz not null default now()
);

-- Control database: every record of every server in one dense order. `source` makes the move idempotent.
create table outbox_log (
    seq bigint primary key,
    source text not null,
    source_id bigint not null,
    topic text not null,
    key text not null,
    payload jsonb not null,
    created_at timestamptz not null,
    logged_at timestamptz not null default now(),
    unique (source, source_id)
);
create table log_heads (name text primary key, seq bigint not null);
-- How far each consumer of outbox_log has come.
create table log_positions (consumer text primary key, seq bigint not null, moved_at timestamptz not null default now());

create function notify_outbox() returns trigger language plpgsql as $$
begin
    perform pg_notify('popreel_outbox', '');
    return null;
end $$;
create trigger outbox_notify after insert on outbox for each statement execute function notify_outbox();
create function notify_jobs() returns trigger language plpgsql as $$
begin
    perform pg_notify('popreel_jobs', new.kind);
    return null;
end $$;
create trigger jobs_notify after insert on jobs for each row execute function notify_jobs();
