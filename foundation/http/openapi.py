"""OpenAPI 3.1 from the endpoints: nothing is described twice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

import msgspec

from foundation.errors import (
    BadInput,
    Forbidden,
    NotFound,
    PopreelError,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)
from foundation.http.endpoint import Access, Endpoint, Header
from foundation.http.problem import PROBLEM_JSON
from foundation.ids import ID_PATTERN

_REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)(?::([^{}]*(?:\{[^{}]*\}[^{}]*)*))?\}")  # {id} or {id:regex}

_IS_ID = re.compile(r"id|seq|\w+(?:Id|_id)")

_RETRY_AFTER = {"description": "Seconds to wait", "required": True, "schema": {"type": "integer", "minimum": 1}}
_PROBLEM_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "The scheme to use", "required": True, "schema": {"type": "string"}}},
    429: {"Retry-After": _RETRY_AFTER},
    503: {"Retry-After": _RETRY_AFTER},
}

_PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem document",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "stable word to decide on"},
        "instance": {"type": "string"},
    },
}


MemberLimits = Mapping[str, Mapping[str, Any]]
"""By "Component.member": keywords that hold in one installation (`{"UploadInit.filesize": {"maximum": ...}}`)."""


def document(
    endpoints: Iterable[Endpoint],
    *,
    title: str,
    version: str,
    description: str = "",
    limits: MemberLimits | None = None,
) -> dict[str, Any]:
    """The OpenAPI document of the public endpoints (internal ones are left out)."""
    public = [spec for spec in endpoints if not spec.internal]
    types = [t for spec in public for t in (*_bodies(spec), spec.reply) if t is not None and not isinstance(t, str)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = dict(zip(map(id, types), schemas, strict=True))
    for member, keywords in (limits or {}).items():
        _limit(components, member, keywords)
    paths: dict[str, dict[str, Any]] = {}
    for spec in public:
        paths.setdefault(_PARAMETER.sub(r"{\1}", spec.path), {})[spec.method.lower()] = _operation(spec, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM},
            "securitySchemes": {
                "user": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "operator": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _limit(components: dict[str, Any], member: str, keywords: Mapping[str, Any]) -> None:
    """Put `keywords` where the member's own bounds are (an optional member has them in a branch of anyOf)."""
    name, _, field = member.partition(".")
    schema = components[name]["properties"][field]
    for branch in schema.get("anyOf", [schema]):
        if branch.get("type") != "null":
            branch.update(keywords)


def _bodies(spec: Endpoint) -> tuple[Any, ...]:
    """The types a body may have."""
    return spec.body_described_by or (() if spec.body is None else (spec.body,))


def _operation(spec: Endpoint, schema_of: dict[int, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": spec.operation_id,
        "summary": spec.summary,
        "tags": [spec.tag or _tag_of(spec.path)],
        "parameters": [*_path_parameters(spec), *_query_parameters(spec), *_header_parameters(spec)],
        "responses": {str(spec.status): _reply(spec, schema_of), **_also(spec), **_problems(spec)},
    }
    if spec.description:
        operation["description"] = spec.description
    if bodies := [schema_of[id(body)] for body in _bodies(spec)]:
        content = {spec.body_type: {"schema": bodies[0] if len(bodies) == 1 else {"anyOf": bodies}}}
        operation["requestBody"] = {"required": not spec.body_optional, "content": content}
    elif spec.body_type != "application/json":
        content = {spec.body_type: {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": not spec.body_optional, "content": content}
    if spec.access is Access.USER:
        operation["security"] = [{"user": []}]
    elif spec.access is Access.OPERATOR:
        operation["security"] = [{"operator": []}]
    elif spec.access is Access.ANYONE:
        operation["security"] = [{}, {"user": []}]
    return operation


def _tag_of(path: str) -> str:
    parts = [p for p in path.split("/") if p and p not in ("api", "v1") and not p.startswith("{")]
    return parts[0] if parts else "service"


def _path_parameters(spec: Endpoint) -> list[dict[str, Any]]:
    parameters = []
    for match in _PARAMETER.finditer(spec.path):
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if match.group(1) in spec.path_schemas:
            schema = {"type": "string", **spec.path_schemas[match.group(1)]}
        elif match.group(2):
            schema["pattern"] = f"^{match.group(2)}$"
        elif _IS_ID.fullmatch(match.group(1)):
            schema["pattern"] = ID_PATTERN
        parameters.append({"name": match.group(1), "in": "path", "required": True, "schema": schema})
    return parameters


def _query_parameters(spec: Endpoint) -> list[dict[str, Any]]:
    if spec.query is None:
        return []
    hints = get_type_hints(spec.query, include_extras=True)
    parameters = []
    for field in msgspec.structs.fields(spec.query):
        schema = msgspec.json.schema(hints[field.name])
        schema.pop("$defs", None)
        if not field.required and field.default is not msgspec.NODEFAULT:
            schema["default"] = field.default
        parameters.append({"name": field.encode_name, "in": "query", "required": field.required, "schema": schema})
    return parameters


def _header_parameters(spec: Endpoint) -> list[dict[str, Any]]:
    return [{"name": header.name, "in": "header", **_header(header)} for header in spec.headers]


def _header(header: Header) -> dict[str, Any]:
    return {"description": header.description, "required": header.required, "schema": dict(header.schema)}


def _reply(spec: Endpoint, schema_of: dict[int, Any]) -> dict[str, Any]:
    reply: dict[str, Any] = {"description": "Done"}
    if isinstance(spec.reply, str):
        reply["description"] = spec.reply
        if spec.method != "HEAD":
            reply["content"] = {spec.reply_type: {"schema": {}}}
    elif spec.reply is not None:
        reply = {"description": "OK", "content": {spec.reply_type: {"schema": schema_of[id(spec.reply)]}}}
    if spec.reply_headers:
        reply["headers"] = {header.name: _header(header) for header in spec.reply_headers}
    return reply


def _also(spec: Endpoint) -> dict[str, Any]:
    content: dict[str, Any] = {} if spec.method == "HEAD" else {"content": {spec.reply_type: {"schema": {}}}}
    return {
        str(status): {"description": text, **({} if status == 304 else content)} for status, text in spec.also.items()
    }


def _problems(spec: Endpoint) -> dict[str, Any]:
    implied: list[type[PopreelError]] = [Unauthenticated, Unavailable]
    if spec.access in (Access.USER, Access.OPERATOR):
        implied.append(Forbidden)
    if spec.access is Access.USER and spec.method not in ("GET", "HEAD"):
        implied.append(TooManyRequests)  # so many actions a minute, so many of a kind a day
    if spec.decode is not None or spec.query is not None or "{" in spec.path:
        implied.append(BadInput)
    if "{" in spec.path:
        implied.append(NotFound)  # no such thing, or a segment that no route takes
    if spec.decode is not None:
        implied.extend((TooLarge, UnsupportedMedia))
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    by_status: dict[int, list[str]] = {}
    for error in dict.fromkeys([*implied, *spec.problems]):
        by_status.setdefault(error.status, []).append(f"`{error.code}`: {error.title}")
    return {
        str(status): {
            "description": "; ".join(texts),
            **({} if spec.method == "HEAD" else {"content": content}),
            **({"headers": _PROBLEM_HEADERS[status]} if status in _PROBLEM_HEADERS else {}),
        }
        for status, texts in sorted(by_status.items())
    }
