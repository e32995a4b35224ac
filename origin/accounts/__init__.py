"""Accounts: sign-up and sign-in, sessions with rotating refresh tokens, profiles."""
