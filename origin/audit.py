"""What operators do, kept for good in the control database."""

from __future__ import annotations

from typing import Any

import msgspec

from foundation.stores.postgres import Shards


class Audit:
    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def note(self, operator: str, action: str, subject: str, detail: dict[str, Any]) -> None:
        """`subject` names what was acted on: "user:123", "sound:456"."""
        async with self._shards.control() as connection:
            await connection.execute(
                "insert into audit_log (operator, action, subject, detail) values ($1, $2, $3, $4)",
                operator,
                action,
                subject,
                msgspec.json.encode(detail).decode(),
            )
