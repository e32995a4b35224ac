"""What a PoP hears from the centre: keys, ended sessions, purge orders, and the heartbeat it sends."""
