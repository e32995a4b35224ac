"""What a viewer sees next, as pure synchronous code over numpy columns.

A PoP (`edge/feed`), the simulator and the replay evaluation call the same `Recommender`; none of them has a twin of it.

1. `columns.py` holds the catalogue as arrays, `pools.py` the lists every viewer shares (popular, trending, fresh,
explore). 2. `taste.py` turns a watch event (judged by `watch_quantile.py`) into the viewer's state, `viewer.py`.
3. `sources.py` asks `vector_index.py`, item-to-item and the pools for candidates; `eligibility.py` filters them.
4. `features.py` and `ranker.py` score them; `diversity.py` and `exploration.py` make the final order in
`recommender.py`.
"""
