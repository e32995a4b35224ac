"""What a PoP passes on: `/api/v1/*` that is not its own goes to the origin, so an app needs one base URL."""
