"""The origin: accounts, uploads, the life of a video, engagement and search, on sharded Postgres.

Path of an upload:
1. `uploads` gives a ticket (limits first), takes parts in any order into an S3 multipart upload, or tus, or presigned
2. complete: one transaction on the video's shard: the row is `uploaded`, an outbox record, a job
3. a worker (`python -m origin.worker`) claims the job under a lease; `packaging` drives the packager and stores files
4. the first rung publishes: compare-and-set to `ready` with the manifest and an outbox record (`lifecycle`)
5. the relay (`background`) moves outbox records, in order, into the catalogue log that PoPs follow (`catalogue`)
6. `media` serves the files to PoPs; `events` takes their watch events, each counted once
7. `engagement`, `social`, `search` and `accounts` hold what people do and who they are
"""
