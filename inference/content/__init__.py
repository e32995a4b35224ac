"""What a video is about: frames, text, sound and creator become one vector of 256 numbers.

1. `install.py` (via `python -m inference.install_models DIR`) converts the installed weights once, with checksums.
2. `torch_archive.py` reads the weights without torch, `efficientnet_graph.py` writes them as ONNX.
3. `frames.py`, `text.py`, `audio.py` each give one part; `projection.py` joins the parts into the space `content-1`.
"""
