"""Tags a response is purged by: Cache-Groups (a List of Strings), Surrogate-Key (spaces), Cache-Tag (commas)."""

from __future__ import annotations

from multidict import CIMultiDict

from edge.delivery.rules.structured_field import parse_list

_FIELDS = ("Cache-Groups", "Surrogate-Key", "Cache-Tag", "Edge-Cache-Tag")
MAX_TAGS = 128
MAX_TAG_CHARS = 1024


def surrogate_tags(headers: CIMultiDict[str]) -> tuple[str, ...]:
    """All tags, each once, in the order given; what is too long or too many is dropped."""
    if headers.keys().isdisjoint(_FIELDS):
        return ()
    tags: list[str] = []
    if groups := parse_list(", ".join(headers.getall("Cache-Groups", ()))):
        tags += [item.value for item in groups if isinstance(item.value, str)]
    for line in headers.getall("Surrogate-Key", ()):
        tags += line.split()
    for name in ("Cache-Tag", "Edge-Cache-Tag"):
        for line in headers.getall(name, ()):
            tags += [tag.strip(" \t") for tag in line.split(",")]
    return tuple(dict.fromkeys(tag for tag in tags if 0 < len(tag) <= MAX_TAG_CHARS))[:MAX_TAGS]
