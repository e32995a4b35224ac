-- Control database: releases of the feed's model, the one rollout under way, and arms that were stopped everywhere.

create table model_releases (
    name text primary key,
    archive bytea not null,
    sha256 text not null,
    uploaded_by text not null,
    uploaded_at timestamptz not null default now()
);
-- a zip does not compress again: stored outside of the row as it is
alter table model_releases alter column archive set storage external;

create table model_rollout (
    one boolean primary key default true check (one),
    serving text not null default '' ,
    candidate text not null default '',
    share double precision not null default 0 check (share between 0 and 1),
    shadow boolean not null default false,
    reason text not null default '',
    changed_at timestamptz not null default now()
);
insert into model_rollout default values;

create table stopped_arms (
    label text primary key,
    reason text not null,
    at timestamptz not null default now()
);
