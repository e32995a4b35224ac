"""What a probe of the origin has to know: who asks, what exists, and which rules no schema can say."""

from __future__ import annotations

from tests.origin_harness import OPERATOR, Origin
from tests.schema_probe import Probe

EXEMPT = {
    # what a file holds, no schema says
    **dict.fromkeys(("set_avatar", "put_sound_file", "set_captions"), ("400", "413", "415")),
    # tus decides by combinations of headers (a length or a deferred one; offset and state), which no schema can say;
    # its own clients are in test_tus.py and test_foreign_clients.py
    "tus_create": ("400", "412", "413", "415", "460"),
    **dict.fromkeys(("tus_patch", "tus_override"), ("400", "410", "412", "413", "415", "460")),
    # an upload that was completed or given up is gone, which is no 404
    **dict.fromkeys(("tus_head", "tus_delete"), ("410", "412")),
    # whether a range can be had follows from the length of the file
    **dict.fromkeys(
        ("audio", "pinned", "current", "token_pinned", "token_current", "caption_file", "token_caption_file"), ("416",)
    ),
    # how many parts there are, and how long each is, follows from the file announced
    **dict.fromkeys(("put_part", "presign"), ("400",)),
    # edits.sound needs musicId and begins within that sound, edits.partner and partnerId need each other
    "complete_upload": ("400",),
}


async def origin_probe(origin: Origin) -> Probe:
    """A probe with a user who owns something of every kind."""
    ada, ben, eve = await origin.person(), await origin.person(), await origin.person()
    mine, other = await origin.published(ada, title="mine"), await origin.published(ben, title="other")
    waiting = (await origin.begin(ada))["videoId"]
    comment = await origin.ok("POST", f"/api/v1/videos/{mine}/comment", ada, json={"text": "first"})
    sound = await origin.ok("POST", "/api/v1/admin/sounds", OPERATOR, json={"title": "s", "artist": "a"})
    return Probe(
        url=origin.url,
        bearers={"user": ada.headers["Authorization"].split()[1], "operator": "operator-key"},
        known={
            "path.id": (mine, other, waiting),
            "path.userId": (ben.id,),
            "path.commentId": (comment["id"],),
            "path.soundId": (sound["id"],),
            "body.musicId": (sound["id"],),
            "path.region": ("us-east",),
            "path.revision": ("1",),
            "path.file": ("master.m3u8", "360p.mp4", "poster.webp"),
        },
        also_refused_with=EXEMPT,
        sacrifices={
            "leave": eve.headers["Authorization"].split()[1],
            "logout": eve.headers["Authorization"].split()[1],
        },
    )
