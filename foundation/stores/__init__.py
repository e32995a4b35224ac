"""Stores: the only code that talks to Postgres, Valkey and the S3 object store, shared by every service.

shard_map   which logical shard an id falls in, and which server holds it (pure)
postgres    pools on every server, reads and writes routed by shard, scatter-gather that degrades per server
listener    one LISTEN connection per server, turned into events that tasks await
migrations  numbered SQL files, applied once per server under an advisory lock, with checksums
job_queue   jobs that commit with the state change that caused them: leases, heartbeats, bounded tries
outbox      records that commit with the change they announce, relayed in order into one dense log
valkey      the client, the key map, rate limits as one atomic script
objects     S3: multipart, ranges, prefixes; data streams over aiohttp, control calls in a bounded thread pool
"""
