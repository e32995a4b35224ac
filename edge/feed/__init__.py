"""The feed of a PoP: the shell around `inference.feed` that knows viewers, sessions, Valkey and HTTP.

1. `routes.py` decodes the request and names the viewer (user, or device by header or cookie).
2. `service.py` takes the viewer's lock: one generation at a time.
3. `viewer_store.py` reads taste, session, seen videos and controls with one MGET; without Valkey from memory.
4. `session.py` continues at the cursor; when the list is short or stale, `ranking.py` asks `lists/` for one.
5. `hydrate.py` makes items with all a player needs; `impression.py` the token that ties a watch to its cause.
6. `places.py` decides which places are handed out, `rendering.py` makes the items and orders what to warm.
7. `watching.py` turns reports into spooled events, then into taste, counters and a session to be ranked again.
"""
