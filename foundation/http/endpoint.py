"""Typed endpoints: one decorator holds what routing, validation, authorisation and OpenAPI need to know.

    class VideoRoutes:
        @endpoint("POST", "/api/v1/videos/upload/init", summary="Begin an upload", body=UploadInit,
                  reply=UploadTicket, status=201, access=Access.USER, problems=(TooLarge,))
        async def init_upload(self, call: Call[UploadInit]) -> UploadTicket: ...

    mount(app, VideoRoutes(...), guard=guard)

Path of a request: aiohttp route -> guard (who is calling, may they) -> body and query decoded by msgspec -> method ->
reply encoded. The method decides nothing about HTTP; errors are raised and become problems.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from aiohttp import web

from foundation.errors import BadInput, PopreelError, Unauthenticated, UnsupportedMedia
from foundation.http.body import read_body
from foundation.http.choices import with_choices
from foundation.ids import UserId, parse_id

B = TypeVar("B")
MAX_JSON_BYTES = 1024 * 1024


class Access(StrEnum):
    """Who may call. A token that is present but wrong is always refused, also where none is needed."""

    ANYONE = "anyone"
    USER = "user"
    SERVICE = "service"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A verified caller: a user by access token, or a service or operator by key."""

    user_id: UserId | None = None
    username: str = ""
    session_id: str = ""
    tier: str = "free"
    teen: bool = False
    service: str = ""
    operator: str = ""


class Guard(Protocol):
    """Verifies credentials: returns None for a caller without any, raises Unauthenticated for wrong ones."""

    async def identify(self, request: web.Request, access: Access) -> Caller | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[B]):
    """One decoded request."""

    request: web.Request
    body: B
    query: Any
    """The decoded query struct of the endpoint, or None."""
    caller: Caller | None

    def path(self, name: str) -> str:
        return self.request.match_info[name]

    def path_id(self, name: str) -> int:
        """The Snowflake id in a path segment. Raises BadInput."""
        return parse_id(self.request.match_info[name])

    def user(self) -> UserId:
        """The signed-in user. Raises Unauthenticated."""
        if self.caller is None or self.caller.user_id is None:
            raise Unauthenticated("this needs an access token: sign in first")
        return self.caller.user_id


Method = Callable[[Call[Any]], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A request or response header, for the OpenAPI document; handlers read and write headers themselves."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What the decorator was given; OpenAPI is rendered from it."""

    method: str
    path: str
    summary: str
    description: str
    operation_id: str
    tag: str
    body: Any
    body_type: str
    query: type[msgspec.Struct] | None
    reply: Any
    reply_type: str
    status: int
    access: Access
    problems: tuple[type[PopreelError], ...]
    max_body_bytes: int
    body_optional: bool
    body_described_by: tuple[Any, ...]
    decode: Callable[[bytes], Any] | None
    headers: tuple[Header, ...]
    reply_headers: tuple[Header, ...]
    path_schemas: Mapping[str, Mapping[str, Any]]
    also: Mapping[int, str]
    internal: bool


def endpoint(
    method: str,
    path: str,
    *,
    summary: str,
    body: Any = None,
    body_type: str = "application/json",
    query: type[msgspec.Struct] | None = None,
    reply: Any = None,
    reply_type: str = "application/json",
    status: int = 200,
    access: Access = Access.ANYONE,
    problems: Iterable[type[PopreelError]] = (),
    tag: str = "",
    max_body_bytes: int = MAX_JSON_BYTES,
    body_optional: bool = False,
    body_described_by: tuple[Any, ...] = (),
    decode: Callable[[bytes], Any] | None = None,
    headers: Iterable[Header] = (),
    reply_headers: Iterable[Header] = (),
    path_schemas: Mapping[str, Mapping[str, Any]] | None = None,
    also: Mapping[int, str] | None = None,
) -> Callable[[Callable[..., Awaitable[Any]]], Callable[..., Awaitable[Any]]]:
    """Mark a method as an endpoint.

    `body` is a type msgspec can decode (None: the handler reads the request itself; then `body_type` documents it);
    with `body_optional` no body counts as `{}`. Where no single type decodes it, `decode` does (from msgspec's errors
    a BadInput is made, and it may be called again with 20.0 written as 20) and `body_described_by` are the types the
    document shows. `path_schemas` describes segments that are not ids, `also` further statuses that are no
    problems (206, 304). Paths under /internal/ stay out of the public OpenAPI document.
    """

    def mark(handler: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        spec = Endpoint(
            method=method,
            path=path,
            summary=summary,
            description=inspect.getdoc(handler) or "",
            operation_id=handler.__name__,
            tag=tag,
            body=body,
            body_type=body_type,
            query=query,
            reply=reply,
            reply_type=reply_type,
            status=status,
            access=access,
            problems=tuple(problems),
            max_body_bytes=max_body_bytes,
            body_optional=body_optional,
            body_described_by=body_described_by,
            decode=decode or (msgspec.json.Decoder(body).decode if body is not None else None),
            headers=tuple(headers),
            reply_headers=tuple(reply_headers),
            path_schemas=dict(path_schemas or {}),
            also=dict(also or {}),
            internal=path.startswith("/internal/"),
        )
        handler.__endpoint__ = spec  # type: ignore[attr-defined]  # functions take attributes
        return handler

    return mark


ENDPOINTS: web.AppKey[list[Endpoint]] = web.AppKey("endpoints", list)


def mount(app: web.Application, routes: object, *, guard: Guard) -> None:
    """Register every endpoint of `routes` on `app`, in the order they are written."""
    known = app[ENDPOINTS]
    for name in _methods_in_order(type(routes)):
        method = getattr(routes, name)
        spec: Endpoint = method.__endpoint__
        known.append(spec)
        app.router.add_route(spec.method, spec.path, _handler(spec, method, guard))


def refuse_other_methods(app: web.Application) -> None:
    """405 with Allow for the methods that the paths mounted so far do not have: call it before adding a catch-all
    (a proxy), which would take them for its own."""
    allowed: dict[str, list[str]] = {}
    for spec in app[ENDPOINTS]:
        allowed.setdefault(spec.path, []).append(spec.method)
    for path, methods in allowed.items():
        app.router.add_route("*", path, _refusal(methods))


def _refusal(allowed: list[str]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def refuse(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, allowed)

    return refuse


def _methods_in_order(kind: type) -> list[str]:
    names: dict[str, None] = {}
    for cls in reversed(kind.__mro__):
        names.update(dict.fromkeys(n for n, member in vars(cls).items() if hasattr(member, "__endpoint__")))
    return list(names)


def _handler(spec: Endpoint, method: Method, guard: Guard) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    decode, shapes = spec.decode, spec.body_described_by or (spec.body,)

    async def handle(request: web.Request) -> web.StreamResponse:
        caller = await guard.identify(request, spec.access)
        if caller is None and spec.access is not Access.ANYONE:
            raise Unauthenticated("this needs an access token in `Authorization: Bearer`")
        query = _decode_query(request, spec.query) if spec.query is not None else None
        body = _decode_body(await _read_json(request, spec), decode, shapes) if decode is not None else None
        result = await method(Call(request=request, body=body, query=query, caller=caller))
        return result if isinstance(result, web.StreamResponse) else render(result, status=spec.status)

    return handle


_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")  # the escape itself, not an escaped backslash before "u0000"


def _decode_body(raw: bytes, decode: Callable[[bytes], Any], shapes: Sequence[Any]) -> Any:
    """Raises BadInput. NUL characters are dropped: no text means one, and Postgres stores none."""
    if b"\\u0000" in raw:
        raw = _NUL.sub(rb"\1", raw)
    try:
        return decode(raw)
    except msgspec.ValidationError as err:
        if (whole := _with_whole_numbers(raw)) is not None:
            return _decode_body(whole, decode, shapes)
        raise BadInput(f"body: {with_choices(str(err), *shapes)}") from err
    except msgspec.DecodeError as err:
        raise BadInput(f"body: {err}") from err
    except RecursionError:
        raise BadInput("body: nested too deeply") from None


def _with_whole_numbers(raw: bytes) -> bytes | None:
    """The document with 15000.0 as 15000, None if it has no such number.

    To JSON Schema they are the same integer, and languages whose only number is a float write the first.
    """
    found = False

    def whole(value: Any) -> Any:
        nonlocal found
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            found = True
            return int(value)
        if isinstance(value, list):
            return [whole(item) for item in value]
        if isinstance(value, dict):
            return {key: whole(item) for key, item in value.items()}
        return value

    try:
        document = whole(msgspec.json.decode(raw))
    except (msgspec.DecodeError, RecursionError):  # a struct is refused at its first wrong member, before the rest
        return None
    return msgspec.json.encode(document) if found else None


async def _read_json(request: web.Request, spec: Endpoint) -> bytes:
    limit = spec.max_body_bytes
    if spec.body_optional and not request.body_exists:
        return b"{}"
    if request.content_type not in ("application/json", "application/octet-stream", "text/plain"):
        # sendBeacon posts text/plain; a body without a type arrives as octet-stream
        raise UnsupportedMedia("send application/json")
    raw = await read_body(request, limit=limit, too_large=f"the body is larger than {limit} bytes")
    if not raw.strip():
        if spec.body_optional:
            return b"{}"
        raise BadInput("the body is empty: send a JSON object")
    return raw


def _decode_query(request: web.Request, query: type[msgspec.Struct]) -> msgspec.Struct:
    try:
        given = {name: value.replace("\x00", "") for name, value in request.query.items()}
        return msgspec.convert(given, query, strict=False)
    except msgspec.ValidationError as err:
        raise BadInput(f"query: {with_choices(str(err), query)}") from err


def render(result: Any, *, status: int = 200) -> web.Response:
    """JSON of a struct (or of anything msgspec encodes); None is an empty answer."""
    if result is None:
        return web.Response(status=204 if status == 200 else status)
    return web.Response(
        body=msgspec.json.encode(result),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
