"""Platforms to try things on: whole installations beside each other on one machine, each with ports of its own."""
