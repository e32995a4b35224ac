"""HLS playlists (RFC 8216 and rfc8216bis): rendered by pure functions, read back before anything is released."""
