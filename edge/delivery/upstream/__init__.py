"""The way to the origin: connections, their pool, and fetches shared by those who wait for the same bytes."""
