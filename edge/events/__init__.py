"""Watch events: durable at the PoP before the answer, upstream at least once.

1. `spool.py` appends events to a stream in the PoP's Valkey (append-only file).
2. `forwarder.py` posts the oldest batch to the origin and deletes it once the origin has acknowledged it.
"""
