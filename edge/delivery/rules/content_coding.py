"""What is worth a content coding, who takes it, and what it does to the fields (RFC 9110 sections 8.4, 12.5.3)."""

from __future__ import annotations

from collections.abc import Sequence

from multidict import CIMultiDict

from edge.delivery.rules.cache_control import parse_directives
from edge.delivery.rules.preconditions import entity_tag

CODING = "gzip"
CODINGS = ("gzip", "br", "zstd")
"""Asked for at the origin; who takes only others gets the plain bytes."""
_SAME = {"x-gzip": "gzip"}
"""RFC 9110 section 8.4.1.3."""
MIN_BYTES = 512
"""Shorter text fits the packet it goes in either way."""
_TYPES = frozenset(
    {
        "application/vnd.apple.mpegurl",
        "application/x-mpegurl",
        "audio/mpegurl",
        "application/dash+xml",
        "application/json",
        "application/javascript",
        "application/xml",
        "image/svg+xml",
    }
)
_OF_THE_BYTES = frozenset({"content-length", "content-digest", "repr-digest", "digest", "content-md5"})
"""Fields that tell of the bytes as they were."""


def is_codable(headers: CIMultiDict[str], *, status: int, total: int, max_bytes: int) -> bool:
    """Whether a whole answer is text of a sensible size that nobody has coded yet or forbidden to (no-transform)."""
    if status != 200 or not MIN_BYTES <= total <= max_bytes or "Content-Encoding" in headers:
        return False
    kind = headers.get("Content-Type", "").partition(";")[0].strip(" \t").lower()
    if kind not in _TYPES and not kind.startswith("text/"):
        return False
    return "no-transform" not in parse_directives(headers.getall("Cache-Control", ()))


def takes_gzip(lines: Sequence[str]) -> bool:
    """Whether the Accept-Encoding lines allow gzip and do not like the plain bytes better."""
    return CODING in accepted(lines)


def accepted(lines: Sequence[str]) -> str:
    """Accept-Encoding in normal form: the codings that matter which it allows and likes no less than the plain bytes.

    Always in the same order and without weights, so that a thousand spellings are a handful of variants; whatever is
    answered to the normal form is acceptable to who sent the spelling. The normal form of a normal form is itself.
    """
    weights: dict[str, float] = {}
    for member in ",".join(lines).split(","):
        coding, _, parameter = member.partition(";")
        name = coding.strip(" \t").lower()
        weights[_SAME.get(name, name)] = _weight(parameter)
    others, plain = weights.get("*", 0.0), weights.get("identity", 0.0)
    taken = [coding for coding in CODINGS if 0 < weights.get(coding, others) >= plain]
    refuses_plain = plain <= 0 and ("identity" in weights or ("*" in weights and others <= 0))
    return ", ".join([*taken, "identity;q=0"] if refuses_plain else taken or ["identity"])


def _weight(parameter: str) -> float:
    """Of `q=0.5`; 1 without one, 0 for one that is none: what is not understood is not wished for."""
    name, _, value = parameter.partition("=")
    if not name.strip(" \t"):
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if name.strip(" \t").lower() == "q" and 0 <= weight <= 1 else 0.0


def with_vary(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    """The fields of an answer whose coding depends on who asks."""
    varied = CIMultiDict(headers)
    varied["Vary"] = ", ".join([*varied.popall("Vary", ()), "Accept-Encoding"])
    return varied


def coded(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    """The fields of the gzipped answer. Its ETag is weak: same meaning, other bytes."""
    fields = CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _OF_THE_BYTES)
    fields["Content-Encoding"] = CODING
    if (tag := entity_tag(headers)) is not None:
        fields["ETag"] = tag if tag.startswith("W/") else f"W/{tag}"
    return fields
