"""The operators' side of the platform: the registry of PoPs, the ordered purge log, wishes and acknowledgements.

Path of a purge:
1. an operator (POST /api/v1/purges) or the origin (POST /internal/v1/purges) names URLs, prefixes and tags
2. `purge_store` appends the orders under one lock, so their sequence numbers are dense and commit in order
3. NOTIFY wakes the long polls of the PoPs (GET /internal/v1/purges?after=N)
4. a PoP applies the orders, then tells its position with the next heartbeat: the acknowledgement
5. GET /api/v1/purges/{seq} shows who has confirmed

Path of a model:
1. `popreel model upload` puts a packed release into the registry, `popreel model canary` names it as candidate
2. every heartbeat is answered with the rollout; a PoP fetches what it has not got and swaps it in
3. heartbeats bring what each arm's viewers watched; the guard adds it up over all PoPs and ends a harmful rollout
"""
