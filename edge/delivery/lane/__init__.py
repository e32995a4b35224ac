"""The fast lane: fresh hits are answered in the socket's callback, the rest goes to aiohttp on the same connection."""
