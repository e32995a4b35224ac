"""Models and recommendation as plain libraries: nothing here opens a socket or knows a service.

`content/` turns a video into a vector; `feed/` decides what a viewer sees next; `training/` makes the models that
`feed/` uses; `simulation/` and replay drive the very same `feed/` code that a PoP serves with. The path of a feed page:

1. `feed/taste.py`: a viewer is a few decayed sums of the vectors watched and skipped.
2. `feed/sources.py`: candidates from several sources, each with a reason (taste, item-to-item, trending, fresh ...).
3. `visible` in there: seen, blocked, private, hidden are masks over the columns; `feed/pools.py`: what is eligible.
4. `feed/features.py` -> `feed/ranker.py`: one ONNX call predicts the watch-time quantile and actions.
5. `feed/diversity.py`: creator and sound caps, and less of what is like the last videos.
6. `feed/exploration.py`: reserved slots for new videos, with a quota and a receipt.
7. `feed/recommender.py` puts 2-6 in one synchronous, CPU-bound call.
"""

import os

# ONNX Runtime 1.29+ sends usage data to its vendor and leaves files in the home folder unless this stands before it is
# imported (measured with 1.32: disable_telemetry_events() comes too late). Hence the one thing done at import here.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
