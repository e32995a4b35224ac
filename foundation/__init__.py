"""Ground floor: what every service stands on, and nothing that knows a service.

settings (TOML + environment, read once) -> errors (one tree, RFC 9457) -> ids (Snowflake) -> wire (messages between
services) -> tokens (access JWTs, media path tokens) -> http (endpoints, OpenAPI, server life) -> telemetry (logs,
metrics, traces) -> stores (Postgres shards, Valkey, S3 objects, jobs, outbox).
"""
