"""What can go wrong on the way to the origin and in the tiers.

RequestError
└── BodyTooSlow             408  the client sends its body drop by drop
PopreelError
└── DeliveryError
    ├── OriginUnreachable   502/504  no connection at all: stale answers may be served
    ├── OriginBroke         502  the connection ended or spoke something else than HTTP
    ├── OriginTimeout       504  nothing came in time
    ├── OriginFailed        502  a 5xx to a revalidation: stale-if-error applies
    ├── OriginBusy          503  all connections taken and the queue is full
    ├── BodyChanged         502  the origin's object is another one now; what was begun cannot be finished
    └── BodyLost            502  a slice is gone and cannot be fetched alone
"""

from __future__ import annotations

from foundation.errors import PopreelError, RequestError


class BodyTooSlow(RequestError):
    code = "body-too-slow"
    status = 408
    title = "The request took too long to arrive"


class DeliveryError(PopreelError):
    code = "delivery"
    status = 502
    title = "The origin's answer could not be delivered"
    retryable = True


class OriginUnreachable(DeliveryError):
    code = "origin-unreachable"
    status = 502
    title = "The origin cannot be reached"


class OriginBroke(DeliveryError):
    code = "origin-broke"
    status = 502
    title = "The origin's answer was not usable"


class OriginTimeout(DeliveryError):
    code = "origin-timeout"
    status = 504
    title = "The origin did not answer in time"


class OriginFailed(DeliveryError):
    code = "origin-failed"
    status = 502
    title = "The origin failed"


class OriginBusy(DeliveryError):
    code = "origin-busy"
    status = 503
    title = "Too many requests wait for the origin"


class BodyChanged(DeliveryError):
    code = "body-changed"
    status = 502
    title = "The object changed at the origin while it was read"


class BodyLost(DeliveryError):
    code = "body-lost"
    status = 502
    title = "Part of the object is no longer here"
