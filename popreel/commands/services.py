"""How the command line talks to the running services: keys and addresses of the installation, problems as errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp
import msgspec

from foundation.errors import Unavailable
from popreel.client.api import exchange
from popreel.commands.context import Context
from popreel.launcher.configuration import CLI, holders
from popreel.launcher.secrets import load_or_make

T = TypeVar("T")


class NewUser(msgspec.Struct, kw_only=True, rename="camel"):
    """Reply of POST /internal/v1/users: the user, made if there was none, and a fresh access token."""

    user_id: str
    access_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Calls to the services of one running installation. Open it with open_services()."""

    session: aiohttp.ClientSession
    urls: Mapping[str, str]
    service_key: str = field(repr=False)
    operator_key: str = field(repr=False)

    @property
    def pop_url(self) -> str:
        """The first PoP: the base URL of an app."""
        return next(iter(self.urls.values()))

    async def user(self, username: str) -> NewUser:
        """The user of that name, created without a password if new (embedded installations only). Raises Refused."""
        return await self.call(
            "POST",
            f"{self.urls['origin']}/internal/v1/users",
            bearer=self.service_key,
            body={"username": username, "tier": "creator"},  # or the free tier's three uploads a day would end a demo
            reply=NewUser,
        )

    async def call(
        self, method: str, url: str, *, bearer: str, reply: type[T], body: Mapping[str, Any] | None = None
    ) -> T:
        """One JSON exchange. Raises Refused for a problem, Unavailable if nobody answers."""
        try:
            return await exchange(self.session, method, url, bearer=bearer, reply=reply, body=body)
        except (TimeoutError, aiohttp.ClientError) as err:
            raise Unavailable(f"{url} does not answer: {err}") from err


@asynccontextmanager
async def open_services(context: Context) -> AsyncIterator[Services]:
    """The services of the running platform. Raises NotRunning."""
    state = context.ready()
    secrets = load_or_make(context.folder.secrets, holders=holders(context.settings))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Services(
            session=session,
            urls=state.urls,
            service_key=secrets.service_keys[CLI],
            operator_key=secrets.operator_key,
        )
