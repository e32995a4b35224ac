"""Makes the models that `inference.feed` serves, with numpy alone, deterministic by seed, on a CPU in minutes.

1. `impressions.py`: what a log holds per impression (features, watch quantile, actions).
2. `perceptron.py` trains the ranker, `ranker_graph.py` writes it as ONNX.
3. `item_to_item.py` solves EASE, `factors.py` implicit ALS for a learned space.
4. `gates.py` decides whether a release may ship; `release.py` writes it with card and checksums.
5. `first_model.py` makes the model that ships with popreel from simulated viewers.
"""
