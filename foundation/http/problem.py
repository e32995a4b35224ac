"""Errors as RFC 9457 problem documents: the one table from an exception to an answer."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from foundation.errors import Gone, MethodNotAllowed, NotFound, PopreelError, RequestError, TooLarge, Unavailable

PROBLEM_JSON = "application/problem+json"
TYPE_BASE = "https://popreel.dev/problems/"

_log = logging.getLogger(__name__)
_HTTP_ERRORS: dict[int, type[PopreelError]] = {404: NotFound, 405: MethodNotAllowed, 410: Gone, 413: TooLarge}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def problem_response(error: PopreelError, *, instance: str = "") -> web.Response:
    """Render `error` with its status, Retry-After and extension members."""
    document: dict[str, object] = {
        "type": TYPE_BASE + error.code,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
    }
    if instance:
        document["instance"] = instance
    document.update(error.extensions)
    headers = {"Cache-Control": "no-store"}
    if error.retry_after_s is not None or error.status in (429, 503):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s or 0)))
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(
        body=msgspec.json.encode(document), status=error.status, content_type=PROBLEM_JSON, headers=headers
    )


@web.middleware
async def problems_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into a problem; an unknown error is a 500 whose text stays in the log.

    An answer that has begun is cut instead: a problem written behind its head would be read as its missing bytes.
    """
    try:
        return await handler(request)
    except ConnectionResetError:
        raise
    except Exception as err:
        if request.writer.output_size == 0:
            return _answer_to(err, request)
        _log.warning("an answer broke off", extra={"event": "answer_broke_off", "path": request.path}, exc_info=err)
        raise ConnectionAbortedError("the answer broke off") from err


def _answer_to(err: Exception, request: web.Request) -> web.StreamResponse:
    match err:
        case PopreelError():
            if not isinstance(err, RequestError):
                _log.warning(str(err), extra={"event": "request_failed", "code": err.code, "path": request.path})
            return problem_response(err)
        case web.HTTPException():
            return _answer_to_http_error(err, request)
        case TimeoutError():
            _log.warning("request took too long", extra={"event": "request_late", "path": request.path}, exc_info=err)
            return problem_response(Unavailable("this took too long at this moment, try again", retry_after_s=1))
        case _:
            error_id = secrets.token_hex(6)
            extra = {"event": "internal_error", "error_id": error_id, "path": request.path}
            _log.error("request failed", extra=extra, exc_info=err)
            return problem_response(PopreelError(f"Something broke on our side; quote {error_id} when you report it."))


def _answer_to_http_error(err: web.HTTPException, request: web.Request) -> web.StreamResponse:
    if err.status < 400:
        raise err
    known = _HTTP_ERRORS.get(err.status)
    answer = problem_response(known(_http_detail(err, request)) if known else _plain(err))
    if "Allow" in err.headers:
        answer.headers["Allow"] = err.headers["Allow"]
    return answer


def _http_detail(err: web.HTTPException, request: web.Request) -> str:
    if err.status == 404:
        return f"nothing at {request.path[:200]}"
    if err.status == 405:
        return f"{request.method[:20]} is not allowed here"
    return err.text or err.reason


def _plain(err: web.HTTPException) -> PopreelError:
    error = (RequestError if err.status < 500 else PopreelError)(err.text or err.reason)
    error.status, error.title = err.status, err.reason  # an HTTP error of the library: keep its own status
    return error
