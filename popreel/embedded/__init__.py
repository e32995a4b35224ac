"""Postgres, Valkey and an S3 store as children of ours: nothing to install, nothing left behind.

Path of a start: server.py `start()` -> the server's `_prepare()` (init once, clear what a killed one left) ->
process.py spawns child.py, which ties it to our life and execs the program -> `ready()` asks the server itself until
it serves.
"""
