"""Who follows, blocks and mutes whom; what happens on other shards because of it; notifications."""
