"""A PoP: media, feed and events beside the viewer, complete with the centre away.

Path of a request:
1. `delivery/lane` reads it off the socket; a fresh hit under /videos/ is answered right there
2. everything else goes, untouched, to aiohttp on the same connection (`service` holds the order of routes)
3. media that is no fresh hit: `delivery` (freshness, RAM and disk tiers, single flight, origin)
4. /api/v1/feed, watch events, controls: `feed` (session, taste, candidates, ranking) over `catalogue`, the replica
5. watch events are spooled by `events` before the answer and forwarded to the origin in batches
6. other /api/v1 calls: `gateway.proxy` to the origin; likes and follows reach the feed on the way (`gateway.actions`)
7. what is left is the web app (`gateway.web_app`)
8. in the background `control` follows keys, ended sessions and purge orders, and sends the heartbeat
"""
