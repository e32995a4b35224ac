"""OpenAPI 3.1 from the endpoints: nothing is described twice."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, get_type_hints

import msgspec

from foundation.errors import BadInput, Forbidden, PopreelError, TooLarge, Unauthenticated, UnsupportedMedia
from foundation.http.endpoint import Access, Endpoint
from foundation.http.problem import PROBLEM_JSON

_REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)(?::([^{}]*(?:\{[^{}]*\}[^{}]*)*))?\}")  # {id} or {id:regex}

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


def document(endpoints: Iterable[Endpoint], *, title: str, version: str, description: str = "") -> dict[str, Any]:
    """The OpenAPI document of the public endpoints (internal ones are left out)."""
    public = [spec for spec in endpoints if not spec.internal]
    types = [t for spec in public for t in (spec.body, spec.reply) if t is not None and not isinstance(t, str)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = dict(zip(map(id, types), schemas, strict=True))
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


def _operation(spec: Endpoint, schema_of: dict[int, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": spec.operation_id,
        "summary": spec.summary,
        "tags": [spec.tag or _tag_of(spec.path)],
        "parameters": [*_path_parameters(spec), *_query_parameters(spec)],
        "responses": {str(spec.status): _reply(spec, schema_of), **_problems(spec)},
    }
    if spec.description:
        operation["description"] = spec.description
    if spec.body is not None:
        content = {spec.body_type: {"schema": schema_of[id(spec.body)]}}
        operation["requestBody"] = {"required": not spec.body_optional, "content": content}
    elif spec.body_type != "application/json":
        content = {spec.body_type: {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": content}
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
        if match.group(2):
            schema["pattern"] = f"^{match.group(2)}$"
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


def _reply(spec: Endpoint, schema_of: dict[int, Any]) -> dict[str, Any]:
    if spec.reply is None:
        return {"description": "Done"}
    if isinstance(spec.reply, str):
        return {"description": spec.reply, "content": {spec.reply_type: {"schema": {}}}}
    return {"description": "OK", "content": {spec.reply_type: {"schema": schema_of[id(spec.reply)]}}}


def _problems(spec: Endpoint) -> dict[str, Any]:
    implied: list[type[PopreelError]] = [Unauthenticated]
    if spec.body is not None or spec.query is not None or "{" in spec.path:
        implied.append(BadInput)
    if spec.body is not None:
        implied.extend((TooLarge, UnsupportedMedia))
    if spec.access in (Access.USER, Access.OPERATOR):
        implied.append(Forbidden)
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    by_status: dict[int, list[str]] = {}
    for error in dict.fromkeys([*implied, *spec.problems]):
        by_status.setdefault(error.status, []).append(f"`{error.code}`: {error.title}")
    return {str(s): {"description": "; ".join(texts), "content": content} for s, texts in sorted(by_status.items())}
