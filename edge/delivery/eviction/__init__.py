"""Eviction policies: which entry leaves a full tier. Pure: keys and sizes in, victims out.

The tiers and `popreel cache-sim` share them.
"""
