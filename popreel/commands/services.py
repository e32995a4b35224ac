"""How the command line talks to the running services: keys and addresses of the installation, problems as errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp
import msgspec

from foundation.errors import PopreelError, Unavailable
from popreel.commands.context import Context
from popreel.launcher.configuration import CLI, holders
from popreel.launcher.secrets import load_or_make

T = TypeVar("T")


class Refused(PopreelError):
    """A service answered with a problem (RFC 9457); `detail` is the service's own text."""

    code = "refused"
    title = "The service refused"


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

    async def user(self, username: str) -> NewUser:
        """The user of that name, created without a password if new (embedded installations only). Raises Refused."""
        return await self.call(
            "POST",
            f"{self.urls['origin']}/internal/v1/users",
            bearer=self.service_key,
            body={"username": username},
            reply=NewUser,
        )

    async def call(
        self, method: str, url: str, *, bearer: str, reply: type[T], body: Mapping[str, Any] | None = None
    ) -> T:
        """One JSON exchange. Raises Refused for a problem, Unavailable if nobody answers."""
        headers = {"Authorization": f"Bearer {bearer}"}
        try:
            async with self.session.request(method, url, json=body, headers=headers) as answer:
                raw = await answer.read()
                if answer.status >= 400:
                    raise refusal(raw, status=answer.status)
                return msgspec.json.decode(raw, type=reply)
        except (TimeoutError, aiohttp.ClientError) as err:
            raise Unavailable(f"{url} does not answer: {err}") from err


def refusal(raw: bytes, *, status: int) -> Refused:
    """The problem a service answered with, as an error whose text names status and detail."""
    try:
        problem = msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError:
        problem = {}
    title, detail = problem.get("title", "no problem document"), problem.get("detail", "")
    text = f"{title}: {detail}" if detail and detail != title else str(title)
    return Refused(f"{text} (HTTP {status})", problem=problem, status=status)


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
