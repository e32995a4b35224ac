"""What a username, a password and an age must be. Pure."""

from __future__ import annotations

import re
from datetime import date

from foundation.errors import BadInput
from foundation.ids import ID_PATTERN
from origin.errors import TooYoung

USERNAME_PATTERN = "^[A-Za-z0-9][A-Za-z0-9_.]{0,28}[A-Za-z0-9]$"
_USERNAME = re.compile(USERNAME_PATTERN[1:-1])
PERSON = {"pattern": "^(?:me|@[A-Za-z0-9_.]{2,30}|" + ID_PATTERN[1:-1] + ")$", "description": "id, @username or me"}
PERSON_BY_ID = {"pattern": "^(?:me|" + ID_PATTERN[1:-1] + ")$", "description": "id, or me"}
"""A person in a path, for the OpenAPI document."""
_RESERVED = frozenset({"admin", "root", "popreel", "system", "support", "me", "api", "null", "undefined"})
MIN_AGE = 13
ADULT_AGE = 18
MIN_PASSWORD_CHARS = 8
MAX_PASSWORD_CHARS = 256


def username_key(username: str) -> str:
    """The form in which usernames are compared: lower case. Raises BadInput unless 2-30 of a-z 0-9 _ . fit."""
    key = username.lower()
    if not _USERNAME.fullmatch(username):
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
    """True from 13 to 17. Raises TooYoung below (also for a date to come), BadInput for one nobody remembers."""
    age = age_on(birthdate, today)
    if age > 130:
        raise BadInput("this birthdate cannot be right")
    if age < MIN_AGE:
        raise TooYoung("you have to be 13 to have an account; we have kept nothing of what you entered")
    return age < ADULT_AGE
