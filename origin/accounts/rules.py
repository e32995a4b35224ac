"""What a username, a password and an age must be. Pure."""

from __future__ import annotations

import re
from datetime import date

from foundation.errors import BadInput
from origin.errors import TooYoung

_USERNAME = re.compile(r"^[a-z0-9](?:[a-z0-9_.]{0,28}[a-z0-9])?$")
_RESERVED = frozenset({"admin", "root", "popreel", "system", "support", "me", "api", "null", "undefined"})
MIN_AGE = 13
ADULT_AGE = 18
MIN_PASSWORD_CHARS = 8
MAX_PASSWORD_CHARS = 256


def username_key(username: str) -> str:
    """The form in which usernames are compared: lower case. Raises BadInput unless 2-30 of a-z 0-9 _ . fit."""
    key = username.strip().lower()
    if not _USERNAME.match(key) or len(key) < 2:
        raise BadInput(
            "a username has 2 to 30 letters a-z, digits, '_' or '.', and starts and ends with one of a-z 0-9"
        )
    if key in _RESERVED:
        raise BadInput(f"{key!r} is reserved: choose another username")
    return key


def check_password(password: str, *, username: str) -> None:
    """Raises BadInput with the reason."""
    if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
        raise BadInput(f"a password has {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters")
    if password.lower() == username.lower():
        raise BadInput("the password must not be the username")


def age_on(birthdate: date, today: date) -> int:
    """Full years; someone born on 29 February turns older on 1 March of other years."""
    return today.year - birthdate.year - ((today.month, today.day) < (birthdate.month, birthdate.day))


def is_teen(birthdate: date, today: date) -> bool:
    """True from 13 to 17. Raises TooYoung below, BadInput for a date that cannot be."""
    age = age_on(birthdate, today)
    if age < 0 or age > 130:
        raise BadInput("this birthdate cannot be right")
    if age < MIN_AGE:
        raise TooYoung("you have to be 13 to have an account; we have kept nothing of what you entered")
    return age < ADULT_AGE
