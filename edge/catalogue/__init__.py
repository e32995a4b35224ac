"""The PoP's replica of the catalogue: it serves and restarts with the centre away.

1. `origin_client.py` reads origin's snapshot and long-polls its change log.
2. `journal.py` appends every change to one file, which is also where an item's details are read from.
3. `replica.py` applies changes to `inference.feed.columns` and tells the composition about tombstones.
"""
