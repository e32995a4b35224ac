"""The catalogue that PoPs replicate: a snapshot, then a dense, ordered log of changes (control database)."""
