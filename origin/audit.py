"""What operators do, kept for good in the control database.

An act and its entry are one transaction, on whatever server the act is: `note` puts a record into that server's outbox,
and the relay writes the entry, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from foundation.http.endpoint import Call
from foundation.stores.outbox import Record, append
from foundation.stores.postgres import Connection
from foundation.wire import Wire

OPERATOR_ACTED = "operator.acted"
_ENTRY = "insert into audit_log (operator, action, subject, detail, at) values ($1, $2, $3, $4, $5)"


class Act(Wire, frozen=True, kw_only=True):
    """`subject` names what was acted on: "user:123", "sound:456"."""

    operator: str
    action: str
    subject: str
    detail: dict[str, Any] = msgspec.field(default_factory=dict)


def act_of(call: Call[Any], action: str, subject: str, detail: dict[str, Any] | None = None) -> Act:
    """What the operator who calls does."""
    assert call.caller is not None
    return Act(operator=call.caller.operator, action=action, subject=subject, detail=detail or {})


async def note(connection: Connection, act: Act) -> None:
    """Call it in the transaction of the act."""
    await append(connection, topic=OPERATOR_ACTED, key=act.subject, payload=act)


class AuditProjection:
    """Implements `outbox.Projection`: records -> entries, at the time of the act."""

    async def apply(self, connection: Connection, records: Sequence[Record]) -> None:
        acts = [
            (msgspec.json.decode(record.payload, type=Act), record.created_at)
            for record in records
            if record.topic == OPERATOR_ACTED
        ]
        for act, at in acts:
            detail = msgspec.json.encode(act.detail).decode()
            await connection.execute(_ENTRY, act.operator, act.action, act.subject, detail, at)
