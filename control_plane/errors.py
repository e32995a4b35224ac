"""Errors of the control plane, below foundation's tree.

NotFound
└── UnknownPop      no PoP of that name has ever reported
Forbidden
└── WrongPop        a PoP reports under another PoP's name
"""

from foundation.errors import Forbidden, NotFound


class UnknownPop(NotFound):
    code = "unknown-pop"
    title = "Unknown PoP"


class WrongPop(Forbidden):
    code = "wrong-pop"
    title = "This key belongs to another PoP"
