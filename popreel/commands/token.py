"""`popreel token`: an access token of a user of this installation."""

from __future__ import annotations

from popreel.commands.context import Context
from popreel.commands.services import open_services


async def access_token(context: Context, username: str) -> str:
    """Raises NotRunning, Refused."""
    async with open_services(context) as services:
        return (await services.user(username)).access_token
