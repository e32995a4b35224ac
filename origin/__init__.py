"""The origin: accounts, uploads and the life of a video on sharded Postgres, and the shield before the object store.

Path of a request:
1. service.py composes: settings -> stores.py (pools, Valkey, S3, listeners) -> routes by subject -> background duties
2. foundation.http decodes and authorises; a route method asks limits.py, then a store or a pure core
3. a write enters its logical shard (`Shards.write`): rows, outbox records and jobs change in one transaction
4. the relay moves outbox records into one dense log; projections make of it the catalogue log and revocations
5. consumers.py brings copies on other shards up to date, sends purge orders, feeds the Valkey stream
6. a worker (worker.py, packaging/) claims jobs, packages, publishes by compare-and-set, or erases
7. PoPs follow the catalogue log, fetch /videos/ through media/, and send watch events to events/
"""
