"""A small world of viewers with hidden tastes, to train a first model and to compare policies.

1. `world.py` makes videos, viewers and how a viewer reacts (nothing there reads what the recommender knows).
2. `policies.py`: the recommender of this package, and what it is compared with.
3. `run.py` plays viewers against a policy and measures satisfaction, depth, discovery, diversity, creator exposure.
4. `report.py` repeats that over seeds with intervals (`python -m inference.simulation.report`).

It is one world with our assumptions: use it for direction, not for size.
"""
