"""Logs, metrics and traces: how a service tells what it does."""
