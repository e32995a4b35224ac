"""Edge delivery: a shared HTTP cache (RFC 9111) for video, usable in a PoP and by itself (`popreel edge`).

The path of a request:

 1. `lane.protocol` reads a head off the socket; `lane.fast_lane` answers a fresh hit in memory at once.
 2. Everything else goes, byte for byte, to aiohttp on the same connection, and from there to `request_steps`.
 3. `ask` cleans the target (token, CMCD, dot segments); `access` checks the signed path.
 4. `store.response_store` finds the stored variants in memory or on disk; purges are judged there.
 5. `decision` says: serve, serve and refresh behind, validate, fetch, or 504.
 6. `upstream.fetcher` asks the origin once for all who wait; `upstream.slice_source` does so per slice of the body.
 7. `answer` makes 200, 206, 304 or 416 of it, `respond` writes it while it arrives.
 8. `store.shelves` keeps each whole slice in RAM and on disk; `lane` is told that the next request is a hit.
"""
