"""Search: videos, users, sounds, hashtags; typo-tolerant by trigrams, scattered over the servers."""
