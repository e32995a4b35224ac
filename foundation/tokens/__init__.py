"""Tokens: access JWTs that edges verify without calling the centre, and path-prefix tokens for media."""
