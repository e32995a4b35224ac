"""Every operation of the OpenAPI document, addressed at things that exist: what the authorization tests call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.origin_harness import CLIP, Json, Origin, Person

BODIES: dict[str, Json] = {
    "register": {"username": "someone.new", "password": "correct horse", "birthdate": "1990-01-01"},
    "login": {"username": "nobody", "password": "wrong password"},
    "refresh": {"refreshToken": "nonsense"},
    "comment": {"text": "hi"},
    "mark_read": {"upTo": "1"},
    "decide": {"reason": "just because"},
    "add_sound": {"title": "a sound"},
    "init_upload": {"filename": "a.mp4", "filesize": 10},
    "init_presigned": {"filename": "a.mp4", "filesize": 10},
    "replace_file": {"filename": "a.mp4", "filesize": 10},
    "presign": {"parts": [1]},
    "change": {"title": "stolen"},
    "change_profile": {"bio": "x"},
}
"""Bodies of operations that need members. A body of bytes is taken from RAW."""

RAW: dict[str, tuple[str, bytes]] = {
    "put_part": ("application/octet-stream", CLIP),
    "put_sound_file": ("application/octet-stream", b"ID3\x04" + bytes(2000)),
    "set_avatar": ("image/png", b"\x89PNG\r\n\x1a\n"),
    "set_captions": ("text/vtt", b"WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n"),
    "tus_create": ("application/offset+octet-stream", b""),
    "tus_patch": ("application/offset+octet-stream", CLIP),
    "tus_override": ("application/offset+octet-stream", CLIP),
}
QUERIES = {"put_part": "part=1", "search": "q=x", "suggest": "q=x"}
HEADERS = {
    "tus_create": {"Upload-Length": "10"},
    "tus_patch": {"Upload-Offset": "0"},
    "tus_override": {"Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    id: str
    method: str
    path: str
    access: str
    """anyone, user or operator."""
    tag: str

    @property
    def reads(self) -> bool:
        return self.method in ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A person and something of theirs of every kind."""

    person: Person
    video: str
    open_upload: str
    tus_upload: str
    comment: str
    sound: str

    def path(self, operation: Operation) -> str:
        """The operation's path, at this person's things."""
        values = {
            "id": self._id(operation),
            "userId": self.person.id,
            "commentId": self.comment,
            "soundId": self.sound,
            "lang": "en",
            "region": "us-east",
            "revision": "1",
            "file": "master.m3u8",
            "hashtag": "things",
            "jobId": "00000000-0000-0000-0000-000000000001",
            "token": "k1.1.1.x",
        }
        query = QUERIES.get(operation.id)
        return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], operation.path) + (f"?{query}" if query else "")

    def _id(self, operation: Operation) -> str:
        if "/uploads/tus/" in operation.path:
            return self.tus_upload
        return self.open_upload if "/upload" in operation.path else self.video


async def operations(origin: Origin) -> list[Operation]:
    """All of the document, so that a new route is among them."""
    document = await origin.ok("GET", "/openapi.json")
    return list(_operations(document))


def _operations(document: Json) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            names = [name for requirement in described.get("security", []) for name in requirement]
            access = "anyone" if {} in described["security"] else names[0]
            yield Operation(
                id=described["operationId"],
                method=method.upper(),
                path=path,
                access=access,
                tag=described["tags"][0],
            )


async def subject(origin: Origin, person: Person) -> Subject:
    video = await origin.published(person, title="mine", hashtags=["things"])
    comment = await origin.ok("POST", f"/api/v1/videos/{video}/comment", person, json={"text": "first"})
    operator = {"Authorization": "Bearer operator-key"}
    sound = await origin.ok("POST", "/api/v1/admin/sounds", operator, json={"title": "a sound"})
    tus = {**person.headers, "Tus-Resumable": "1.0.0", "Upload-Length": str(len(CLIP))}
    async with origin.http.post(f"{origin.url}/api/v1/uploads/tus", headers=tus) as answer:
        assert answer.status == 201
        tus_upload = answer.headers["Location"].rsplit("/", 1)[1]
    return Subject(
        person=person,
        video=video,
        open_upload=(await origin.begin(person))["videoId"],
        tus_upload=tus_upload,
        comment=comment["id"],
        sound=sound["id"],
    )


async def send(origin: Origin, operation: Operation, of: Subject, headers: dict[str, str]) -> tuple[int, str]:
    """Status, and the code of a problem."""
    sent = {**headers, "Tus-Resumable": "1.0.0", **HEADERS.get(operation.id, {})}
    request: dict[str, Any] = {}
    if operation.id in RAW:
        sent["Content-Type"], request["data"] = RAW[operation.id]
    elif not operation.reads:
        request["json"] = BODIES.get(operation.id, {})
    async with origin.http.request(
        operation.method, origin.url + of.path(operation), headers=sent, allow_redirects=False, **request
    ) as answer:
        if answer.content_type != "application/problem+json" or operation.method == "HEAD":
            return answer.status, ""
        return answer.status, (await answer.json(content_type=None))["code"]
