"""Bodies and replies of the account routes."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from msgspec import Meta

from foundation.wire import Wire
from origin.accounts.rules import MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS, USERNAME_PATTERN
from origin.text import VISIBLE


class Registration(Wire, frozen=True, kw_only=True):
    # what the document says of these is checked by rules.py, whose errors say more
    username: Annotated[str, Meta(extra_json_schema={"pattern": USERNAME_PATTERN})]
    password: Annotated[str, Meta(extra_json_schema={"minLength": MIN_PASSWORD_CHARS, "maxLength": MAX_PASSWORD_CHARS})]
    birthdate: Annotated[dt.date, Meta(extra_json_schema={"pattern": "^(?:19[0-9]{2}|20[0-9]{2})-"})]
    """ISO date. Under 13 is refused and nothing is kept; 13-17 is a teen account."""
    display_name: Annotated[str, Meta(max_length=50)] = ""


class Credentials(Wire, frozen=True, kw_only=True):
    username: Annotated[str, Meta(max_length=64)]
    password: Annotated[str, Meta(max_length=256)]
    device: Annotated[str, Meta(max_length=100)] = ""


class RefreshBody(Wire, frozen=True, kw_only=True):
    refresh_token: Annotated[str, Meta(max_length=200)]


class LogoutBody(Wire, frozen=True, kw_only=True):
    refresh_token: Annotated[str, Meta(max_length=200)] = ""
    everywhere: bool = False


class InternalUser(Wire, frozen=True, kw_only=True):
    username: Annotated[str, Meta(max_length=64)]
    tier: Literal["free", "verified", "creator"] = "free"
    """Of a user made by this call."""


class InternalToken(Wire, frozen=True, kw_only=True):
    user_id: str
    access_token: str


class UserView(Wire, frozen=True, kw_only=True):
    """A profile as others see it; `private`, `teen`, `tier` and `birthdate` are told to the user alone."""

    id: str
    username: str
    display_name: str
    bio: str = ""
    avatar_url: str | None = None
    verified: bool = False
    follower_count: int = 0
    following_count: int = 0
    like_count: int = 0
    video_count: int = 0
    followed_by_me: bool = False
    created_at_ms: int = 0
    private: bool = False
    teen: bool | None = None
    tier: str | None = None
    birthdate: dt.date | None = None


class TokenReply(Wire, frozen=True, kw_only=True):
    access_token: str
    refresh_token: str
    expires_in: int
    """Seconds the access token lives."""
    user: UserView


class ProfileChange(Wire, frozen=True, kw_only=True):
    """Members left out stay as they are."""

    display_name: Annotated[str, Meta(min_length=1, max_length=50, extra_json_schema={"pattern": VISIBLE})] | None = (
        None
    )
    bio: Annotated[str, Meta(max_length=500)] | None = None
    private: bool | None = None
