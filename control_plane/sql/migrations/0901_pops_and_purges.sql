-- Control database: PoPs as they last reported, what operators want of them, and the purge log.

create table pops (
    pop_id text primary key,
    region text not null,
    base_url text not null,
    wanted_state text not null default 'active' check (wanted_state in ('active', 'draining')),
    heartbeat jsonb not null,
    first_seen timestamptz not null default now(),
    last_seen timestamptz not null default now()
);

-- Dense and in commit order: appended under an advisory lock (purge_store.py).
create table purge_orders (
    seq bigint primary key,
    url text,
    prefix text,
    tag text,
    soft boolean not null,
    issued_by text not null,
    issued_at timestamptz not null default now(),
    check (num_nonnulls(url, prefix, tag) = 1)
);
create index purge_orders_age on purge_orders (issued_at);

create table operator_audit (
    id bigint generated always as identity primary key,
    operator text not null,
    action text not null,
    subject text not null,
    detail jsonb not null default '{}',
    at timestamptz not null default now()
);
