"""One checksum per published video, computed alike in the origin's Postgres and in a PoP: the sum over a range of ids
tells whether a replica still says what the origin says. Counters are left out: they change all the time and heal by
themselves.
"""

from __future__ import annotations

import hashlib

from foundation.wire.catalogue import CatalogueItem

LARGEST_ID = 2**63 - 1
_SEPARATOR = "\x1f"

RANGE_DIGEST = """
with part as (
    select video_id, item from catalogue_items where video_id > $1 order by video_id limit $2
)
select count(*) as count, coalesce(max(video_id), $1) as up_to, coalesce(sum(('x' || substr(md5(concat_ws(E'\\x1f',
    video_id::text, item->>'revision', item->>'visibility', item->>'publishedAtMs', item->'creator'->>'id',
    item->>'region', item->>'title', item->>'description', item->'manifest'->>'durationMs',
    array_to_string(array(select jsonb_array_elements_text(item->'hashtags')), ','),
    item->>'embeddingSpace', item->>'embedding')), 1, 15))::bit(60)::bigint), 0)::text as digest
from part"""
"""$1 after, $2 limit. The same text as `checksum`; absent fields are left out on both sides."""


def checksum(item: CatalogueItem) -> int:
    """0 <= checksum < 2**60."""
    parts = (
        item.id,
        str(item.revision),
        item.visibility,
        str(item.published_at_ms),
        item.creator.id,
        item.region,
        item.title,
        item.description,
        str(item.manifest.duration_ms),
        ",".join(item.hashtags),
        item.embedding_space,
        item.embedding,
    )
    text = _SEPARATOR.join(part for part in parts if part is not None)
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:15], 16)
