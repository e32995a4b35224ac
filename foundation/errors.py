"""The error tree shared by every service, drawn here; packages add leaves below these in their own `errors.py`.

    PopreelError                     something the platform names; `retryable` tells a caller whether again can help
    ├── RequestError                 the caller's fault, 4xx
    │   ├── BadInput            400  malformed or out of bounds
    │   ├── Unauthenticated     401  no token, or one that does not verify
    │   ├── Forbidden           403  known caller, not allowed
    │   ├── NotFound            404
    │   ├── Gone                410
    │   ├── Conflict            409  state does not allow it (now)
    │   ├── TooLarge            413
    │   ├── UnsupportedMedia    415  also: a file that is not a video we take
    │   └── TooManyRequests     429  carries retry_after_s
    ├── Unavailable             503  a dependency is away; carries retry_after_s
    └── SettingsError                the process cannot start; the message says which knob and what it takes

Each class has a stable `code` (the last segment of the problem's `type`): clients decide on codes, never on text.
"""

from __future__ import annotations


class PopreelError(Exception):
    """Base of all named errors. `detail` is shown to the caller: it says what is wrong and what to do."""

    code = "internal"
    status = 500
    title = "Internal error"
    retryable = False

    def __init__(self, detail: str = "", /, *, retry_after_s: float | None = None, **extensions: object) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.retry_after_s = retry_after_s
        self.extensions = extensions
        """Further members of the problem document (RFC 9457 section 3.2), JSON values."""


class SettingsError(PopreelError):
    code = "settings"
    title = "Settings are not usable"


class RequestError(PopreelError):
    code = "bad-request"
    status = 400
    title = "Bad request"


class BadInput(RequestError):
    code = "bad-input"
    title = "The input is not valid"


class Unauthenticated(RequestError):
    code = "unauthenticated"
    status = 401
    title = "Sign in first"


class Forbidden(RequestError):
    code = "forbidden"
    status = 403
    title = "Not allowed"


class NotFound(RequestError):
    code = "not-found"
    status = 404
    title = "Not found"


class MethodNotAllowed(RequestError):
    code = "method-not-allowed"
    status = 405
    title = "Method not allowed"


class Conflict(RequestError):
    code = "conflict"
    status = 409
    title = "The current state does not allow this"


class Gone(RequestError):
    code = "gone"
    status = 410
    title = "Gone"


class TooLarge(RequestError):
    code = "too-large"
    status = 413
    title = "Too large"


class UnsupportedMedia(RequestError):
    code = "unsupported-media"
    status = 415
    title = "Unsupported media"


class TooManyRequests(RequestError):
    code = "too-many-requests"
    status = 429
    title = "Too many requests"
    retryable = True


class Unavailable(PopreelError):
    code = "unavailable"
    status = 503
    title = "Temporarily unavailable"
    retryable = True
