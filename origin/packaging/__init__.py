"""A video's job at a worker.

1. claim: SKIP LOCKED + lease; a heartbeat keeps the lease while the job runs
2. begin: the row becomes `processing`; a second try gets a new revision, which fences the first worker out
3. the original, and the sound or partner its edits ask for (materials.py), come from the object store to scratch
4. `packager.package` encodes in a sandboxed child; rungs go up while they grow (growing.py), other files when final
5. Playable -> publish: compare-and-set to `ready` with manifest, outbox records and notification in one transaction
6. Analysis -> the embedding, in a thread; if it fails, its own job retries it; publishing never waits
7. RungReady -> the manifest grows; Completed -> the job ends, old revisions are swept later
8. whoever loses a compare-and-set or the lease stops and erases what it wrote
"""
