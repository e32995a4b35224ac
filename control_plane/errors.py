"""Errors of the control plane, below foundation's tree.

NotFound
├── UnknownPop      no PoP of that name has ever reported
└── UnknownRelease  no model of that name is in the registry
Forbidden
└── WrongPop        a PoP reports under another PoP's name
Conflict
└── PopAlive        a PoP that reports cannot be forgotten
"""

from foundation.errors import Conflict, Forbidden, NotFound


class UnknownPop(NotFound):
    code = "unknown-pop"
    title = "Unknown PoP"


class UnknownRelease(NotFound):
    code = "unknown-release"
    title = "Unknown release of the feed's model"


class WrongPop(Forbidden):
    code = "wrong-pop"
    title = "This key belongs to another PoP"


class PopAlive(Conflict):
    code = "pop-alive"
    title = "This PoP still reports"
