"""Search: videos, users, hashtags; typo-tolerant by trigrams, scattered over the servers."""
