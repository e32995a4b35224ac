"""Replaying request traces against eviction policies: the logic of `popreel cache-sim TRACE`.

1. `trace` reads a file of `time,key,size` lines or makes a synthetic short-video trace.
2. `replay` runs it through a policy and counts misses by object and by byte.
3. `belady` does the same knowing the future: the bound no policy passes.
4. `report` compares policies at several cache sizes; `peer` adds libCacheSim's where it is installed.
"""
