"""The sound library: what operators add with a file, and the sounds of videos that others may use.

Path of a library sound: admin adds it -> PUT of its file: sniffed, to the store, job -> the worker prepares it in the
packager's sandbox (length, loudness, fingerprint, AAC) -> `ready`: it can be heard, and mixed under a clip.
The sound of a video is a row that points at the video: no copy, so it goes when the video goes.
"""
