"""One headless Firefox over WebDriver BiDi (W3C), which it speaks by itself: no driver program in between."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

_PREFERENCES = {
    "media.autoplay.default": 0,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
}
_LISTENING = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")
_START_S, _REPLY_S = 60.0, 30.0


class BidiError(Exception):
    """Firefox refused a command, or the script in the page threw."""


@dataclass(slots=True)
class FirefoxPage:
    """The one page of a running Firefox. `console` holds what it wrote there."""

    socket: aiohttp.ClientWebSocketResponse
    context: str = ""
    version: str = ""
    console: list[str] = field(default_factory=list)
    _sent: int = 0

    async def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Raises BidiError; TimeoutError after half a minute."""
        self._sent += 1
        await self.socket.send_json({"id": self._sent, "method": method, "params": params})
        async with asyncio.timeout(_REPLY_S):
            while True:
                message = await self.socket.receive_json()
                if message.get("method") == "log.entryAdded":
                    self.console.append(f"{message['params']['level']}: {message['params'].get('text')}")
                elif message.get("id") == self._sent:
                    if message["type"] == "error":
                        raise BidiError(f"{method}: {message['message']}")
                    result: dict[str, Any] = message["result"]
                    return result

    async def goto(self, url: str) -> None:
        await self.command("browsingContext.navigate", context=self.context, url=url, wait="complete")

    async def evaluate(self, body: str) -> Any:
        """What the function body `body` returns in the page, by way of JSON."""
        script = f"(async () => JSON.stringify((await (async () => {{ {body} }})()) ?? null))()"
        target = {"context": self.context}
        reply = await self.command("script.evaluate", expression=script, target=target, awaitPromise=True)
        if reply["type"] != "success":
            raise BidiError(reply["exceptionDetails"]["text"])
        return json.loads(reply["result"]["value"])

    async def wait_for(self, condition: str) -> None:
        """Until the expression is true, asked at every frame. Raises TimeoutError."""
        await self.evaluate(f"while (!({condition})) await new Promise((next) => requestAnimationFrame(next));")


@asynccontextmanager
async def firefox(program: str, profile: Path) -> AsyncIterator[FirefoxPage]:
    """`profile`: an empty folder of its own. The process ends with the block."""
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in _PREFERENCES.items()]
    (profile / "user.js").write_text("".join(lines), "utf-8")
    arguments = ("--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0")
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        env={**os.environ, "HOME": str(profile)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        address = await _address_of(process)
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{address}/session", max_msg_size=0) as socket:
            page = FirefoxPage(socket)
            session = await page.command("session.new", capabilities={"alwaysMatch": {}})
            page.version = session["capabilities"]["browserVersion"]
            await page.command("session.subscribe", events=["log.entryAdded"])
            tree = await page.command("browsingContext.getTree")
            page.context = tree["contexts"][0]["context"]
            yield page
    finally:
        process.terminate()
        await process.wait()


async def _address_of(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    async with asyncio.timeout(_START_S):
        async for line in process.stderr:
            if found := _LISTENING.search(line):
                return found[1].decode()
    raise BidiError("Firefox ended before it listened")
