"""The origin's errors, leaves of `foundation.errors`.

BadInput         DurationRefused
Conflict         UsernameTaken, UploadIncomplete, UploadClosed, StateConflict, SoundNotReady, Yourself
NotFound         UnknownVideo, UnknownUser, UnknownComment, UnknownSound
Gone             UploadExpired
Forbidden        TooYoung, NotYours, Blocked, AccountBanned, CommentsClosed, RemixRefused
TooLarge         FileTooLarge
TooManyRequests  QuotaExceeded, TooFast
Unauthenticated  WrongPassword, RefreshRefused
"""

from __future__ import annotations

from foundation.errors import (
    BadInput,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
)


class TooYoung(Forbidden):
    code = "too-young"
    title = "Accounts are for people of 13 and older"


class UsernameTaken(Conflict):
    code = "username-taken"
    title = "This username is taken"


class WrongPassword(Unauthenticated):
    code = "wrong-password"
    title = "Username or password is wrong"


class RefreshRefused(Unauthenticated):
    code = "refresh-refused"
    title = "The refresh token is not valid: sign in again"


class AccountBanned(Forbidden):
    code = "account-banned"
    title = "This account is banned"


class UnknownVideo(NotFound):
    code = "unknown-video"
    title = "No such video"


class UnknownUser(NotFound):
    code = "unknown-user"
    title = "No such user"


class UnknownComment(NotFound):
    code = "unknown-comment"
    title = "No such comment"


class UnknownSound(NotFound):
    code = "unknown-sound"
    title = "No such sound"


class SoundNotReady(Conflict):
    code = "sound-not-ready"
    title = "This sound has no file to mix"


class RemixRefused(Forbidden):
    code = "remix-refused"
    title = "This video cannot be used in yours"


class Yourself(Conflict):
    code = "yourself"
    title = "This is yourself"


class NotYours(Forbidden):
    code = "not-yours"
    title = "This belongs to someone else"


class Blocked(Forbidden):
    code = "blocked"
    title = "One of you has blocked the other"


class CommentsClosed(Forbidden):
    code = "comments-closed"
    title = "The creator has closed the comments"


class FileTooLarge(TooLarge):
    code = "file-too-large"
    title = "The file is too large"


class DurationRefused(BadInput):
    code = "duration-refused"
    title = "The clip is too short or too long"


class UploadIncomplete(Conflict):
    code = "upload-incomplete"
    title = "Parts are missing"


class UploadClosed(Conflict):
    code = "upload-closed"
    title = "This upload takes no more bytes"


class UploadExpired(Gone):
    code = "upload-expired"
    title = "This upload has expired: begin again"


class StateConflict(Conflict):
    code = "state-conflict"
    title = "The video's state does not allow this"


class QuotaExceeded(TooManyRequests):
    code = "quota-exceeded"
    title = "The daily limit is reached"


class TooFast(TooManyRequests):
    code = "too-fast"
    title = "Too many requests in a short time"
