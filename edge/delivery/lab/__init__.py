"""For tests and benches: an origin that does as it is told, and a client that sees every byte. Not used in service."""
