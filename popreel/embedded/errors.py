"""What can go wrong with an embedded server. Messages are for the person at the terminal: cause, then what to do."""

from __future__ import annotations

from foundation.errors import PopreelError


class EmbeddedServerError(PopreelError):
    code = "embedded-server"
    title = "An embedded server could not be started"


class BinaryMissing(EmbeddedServerError):
    code = "embedded-binary-missing"
    title = "A server's program is not installed"


class PortTaken(EmbeddedServerError):
    code = "embedded-port-taken"
    title = "A port is in use"


class NoUnprivilegedUser(EmbeddedServerError):
    code = "embedded-no-unprivileged-user"
    title = "Postgres refuses to run as root and no other user can reach its files"


class NotReady(EmbeddedServerError):
    """The deadline passed. Another start would take as long."""

    code = "embedded-not-ready"
    title = "A process did not become ready in time"


class EndedEarly(EmbeddedServerError):
    """It ended before it was ready; perhaps what it needs was being started again."""

    code = "embedded-ended-early"
    title = "A process ended before it was ready"
    retryable = True
