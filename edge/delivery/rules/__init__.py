"""The rules of HTTP caching as pure functions: values in, decisions out; no sockets, no clock of their own."""
