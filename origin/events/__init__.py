"""Watch events: ingest with exact de-duplication, daily partitions, retention, export."""
