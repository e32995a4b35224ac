"""Errors of the stores, leaves of `foundation.errors`.

Unavailable
├── ShardUnavailable     the Postgres server of this shard is away; others go on
├── HotStateUnavailable  Valkey is away
└── ObjectsUnavailable   the object store is away
ObjectTooLarge           an object is longer than its reader takes
LeaseLost                a job's lease went to another worker: stop, write nothing more
MigrationError           a migration file changed after it was applied, or failed
"""

from __future__ import annotations

from foundation.errors import PopreelError, Unavailable


class ShardUnavailable(Unavailable):
    code = "shard-unavailable"
    title = "The part of the database that holds this is away"


class HotStateUnavailable(Unavailable):
    code = "hot-state-unavailable"
    title = "Counters and limits are temporarily away"


class ObjectsUnavailable(Unavailable):
    code = "objects-unavailable"
    title = "The object store is temporarily away"


class ObjectTooLarge(PopreelError):
    code = "object-too-large"
    title = "A stored object is larger than expected"


class LeaseLost(PopreelError):
    code = "lease-lost"
    title = "The lease on this job was lost"


class MigrationError(PopreelError):
    code = "migration"
    title = "A migration could not be applied"
