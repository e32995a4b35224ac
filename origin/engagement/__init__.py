"""Likes, bookmarks, shares, comments and the counters they move."""
