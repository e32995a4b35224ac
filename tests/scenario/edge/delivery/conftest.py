"""An edge on a real socket in front of a scripted origin, with a clock the test moves."""

from tests.edge_harness import clock, disk_edge, edge, open_edge, origin, pytest_asyncio_loop_factories

__all__ = ["clock", "disk_edge", "edge", "open_edge", "origin", "pytest_asyncio_loop_factories"]
