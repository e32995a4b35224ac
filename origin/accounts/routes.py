"""Routes of sign-up, sign-in and profiles."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

from foundation.errors import BadInput, Forbidden
from foundation.http.endpoint import Access, Call, endpoint
from foundation.ids import Snowflake, UserId, created_ms, parse_id
from origin.accounts.access import AccessStore
from origin.accounts.account_store import Account, AccountStore, NewAccount
from origin.accounts.avatar import LARGE, avatar_url
from origin.accounts.messages import (
    Credentials,
    InternalToken,
    InternalUser,
    LogoutBody,
    ProfileChange,
    RefreshBody,
    Registration,
    TokenReply,
    UserView,
)
from origin.accounts.passwords import Passwords
from origin.accounts.rules import PERSON, check_password, is_teen, username_key
from origin.accounts.session_store import EndReason, SessionStore, user_of
from origin.accounts.tokens import AccessTokens
from origin.errors import AccountBanned, TooFast, TooYoung, UnknownUser, UsernameTaken, WrongPassword
from origin.limits import Limits
from origin.text import clean_text


class AccountRoutes:
    def __init__(
        self,
        *,
        accounts: AccountStore,
        sessions: SessionStore,
        access: AccessStore,
        passwords: Passwords,
        tokens: AccessTokens,
        limits: Limits,
        ids: Snowflake,
        clock_s: Callable[[], float],
        allow_internal_users: bool,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._access = access
        self._passwords = passwords
        self._tokens = tokens
        self._limits = limits
        self._ids = ids
        self._clock_s = clock_s
        self._allow_internal_users = allow_internal_users

    @endpoint(
        "POST",
        "/api/v1/auth/register",
        summary="Make an account and sign in",
        body=Registration,
        reply=TokenReply,
        status=201,
        problems=(UsernameTaken, TooYoung, TooFast),
    )
    async def register(self, call: Call[Registration]) -> TokenReply:
        body = call.body
        username = username_key(body.username)
        check_password(body.password, username=username)
        teen = is_teen(body.birthdate, self._today())
        await self._limits.login(call.request, name=username)
        account = NewAccount(
            id=UserId(self._ids.next_id()),
            username=username,
            display_name=clean_text(body.display_name).strip() or username,
            password_hash=await self._passwords.hash(body.password),
            birthdate=body.birthdate,
            teen=teen,
        )
        await self._accounts.create(account)
        return await self._sign_in(call, await self._accounts.get(account.id), device="")

    @endpoint(
        "POST",
        "/api/v1/auth/login",
        summary="Sign in",
        body=Credentials,
        reply=TokenReply,
        problems=(WrongPassword, AccountBanned, TooFast),
    )
    async def login(self, call: Call[Credentials]) -> TokenReply:
        name = call.body.username.strip().lower()
        await self._limits.login(call.request, name=name)
        user_id = await self._accounts.id_of(name)
        account = await self._accounts.find(user_id) if user_id is not None else None
        known = account if account is not None and account.state == "active" else None
        fits = await self._passwords.verify(known.password_hash if known else None, call.body.password)
        if not fits or known is None:
            raise WrongPassword("username or password is wrong")
        if known.banned:
            raise AccountBanned("this account is banned")
        return await self._sign_in(call, known, device=call.body.device)

    @endpoint(
        "POST",
        "/api/v1/auth/refresh",
        summary="Exchange a refresh token for new tokens",
        body=RefreshBody,
        reply=TokenReply,
        problems=(AccountBanned,),
    )
    async def refresh(self, call: Call[RefreshBody]) -> TokenReply:
        """Each refresh token works once. Using one again ends its session: it was copied."""
        session = await self._sessions.rotate(call.body.refresh_token, now_ms=self._now_ms())
        account = await self._accounts.get(session.user_id)
        if account.banned:
            raise AccountBanned("this account is banned")
        return self._reply(account, session.session_id, session.refresh_token)

    @endpoint(
        "POST",
        "/api/v1/auth/logout",
        summary="End this session, or all",
        body=LogoutBody,
        body_optional=True,
        status=204,
        access=Access.USER,
    )
    async def logout(self, call: Call[LogoutBody]) -> None:
        """Every PoP stops taking the session's access tokens within seconds."""
        user_id = call.user()
        assert call.caller is not None
        if call.body.everywhere:
            await self._sessions.end_all(user_id, EndReason.EVERYWHERE, now_ms=self._now_ms())
            return
        if call.body.refresh_token and user_of(call.body.refresh_token) != user_id:
            raise Forbidden("this refresh token is of another account")
        session_id = parse_id(call.caller.session_id)
        await self._sessions.end(user_id, session_id, EndReason.LOGOUT, now_ms=self._now_ms())

    @endpoint("GET", "/api/v1/users/me", summary="The own profile", reply=UserView, access=Access.USER)
    async def own_profile(self, call: Call[None]) -> UserView:
        return view(await self._accounts.get(call.user()), own=True, followed=False)

    @endpoint(
        "GET",
        "/api/v1/users/{userId}",
        summary="A profile",
        reply=UserView,
        problems=(UnknownUser,),
        path_schemas={"userId": PERSON},
    )
    async def profile(self, call: Call[None]) -> UserView:
        """`{userId}` may be "me", or "@" and a username."""
        viewer = call.caller.user_id if call.caller else None
        account = await self._accounts.get(await self._resolve(call))
        relation = await self._access.relation(viewer, account.id)
        if relation.blocked:
            raise UnknownUser("there is no such user")
        return view(account, own=relation.same, followed=relation.following)

    @endpoint(
        "PATCH",
        "/api/v1/users/me",
        summary="Change the own profile",
        body=ProfileChange,
        reply=UserView,
        access=Access.USER,
        problems=(AccountBanned,),
    )
    async def change_profile(self, call: Call[ProfileChange]) -> UserView:
        account = await self._access.actor(call)
        await self._limits.action(call.request, user_id=account.id)
        change = call.body
        name = clean_text(change.display_name).strip() if change.display_name is not None else None
        if name == "":
            raise BadInput("displayName: write something")
        bio = clean_text(change.bio).strip() if change.bio is not None else None
        await self._accounts.update_profile(account.id, display_name=name, bio=bio, private=change.private)
        return view(await self._accounts.get(account.id), own=True, followed=False)

    @endpoint(
        "POST",
        "/internal/v1/users",
        summary="Make a user without a password, or find it, and sign it in (embedded installation)",
        body=InternalUser,
        reply=InternalToken,
        access=Access.SERVICE,
    )
    async def internal_user(self, call: Call[InternalUser]) -> InternalToken:
        if not self._allow_internal_users:
            raise Forbidden("this installation makes users by registration only (allow_internal_users is off)")
        username = username_key(call.body.username)
        user_id = await self._accounts.id_of(username) or await self._make_internal(username, tier=call.body.tier)
        session = await self._sessions.begin(user_id, session_id=self._ids.next_id(), device="internal")
        account = await self._accounts.get(user_id)
        return InternalToken(
            user_id=str(user_id), access_token=self._tokens.issue(account, session_id=session.session_id)
        )

    async def _make_internal(self, username: str, *, tier: str) -> UserId:
        user_id = UserId(self._ids.next_id())
        new = NewAccount(
            id=user_id,
            username=username,
            display_name=username,
            password_hash=None,
            birthdate=None,
            teen=False,
            tier=tier,
        )
        try:
            await self._accounts.create(new)
        except UsernameTaken:  # two callers at once: the other one made it
            found = await self._accounts.id_of(username)
            if found is None:
                raise
            return found
        return user_id

    async def _resolve(self, call: Call[None]) -> UserId:
        text = call.path("userId")
        if text == "me":
            return call.user()
        if match := re.fullmatch(r"@([A-Za-z0-9_.]{2,30})", text):
            found = await self._accounts.id_of(match[1].lower())
            if found is None:
                raise UnknownUser(f"there is no user {text}")
            return found
        return UserId(call.path_id("userId"))

    async def _sign_in(self, call: Call[Any], account: Account, *, device: str) -> TokenReply:
        session = await self._sessions.begin(
            account.id,
            session_id=self._ids.next_id(),
            device=device,
            device_id=call.request.headers.get("X-Device-Id", "")[:128],
        )
        return self._reply(account, session.session_id, session.refresh_token)

    def _reply(self, account: Account, session_id: int, refresh_token: str) -> TokenReply:
        return TokenReply(
            access_token=self._tokens.issue(account, session_id=session_id),
            refresh_token=refresh_token,
            expires_in=self._tokens.life_s,
            user=view(account, own=True, followed=False),
        )

    def _now_ms(self) -> int:
        return int(self._clock_s() * 1000)

    def _today(self) -> dt.date:
        return dt.datetime.fromtimestamp(self._clock_s(), tz=dt.UTC).date()


def view(account: Account, *, own: bool, followed: bool) -> UserView:
    """The profile as the user sees it (`own`), or as others do."""
    return UserView(
        id=str(account.id),
        username=account.username,
        display_name=account.display_name,
        bio=account.bio,
        avatar_url=avatar_url(account.id, account.avatar_key, size=LARGE),
        verified=account.verified,
        follower_count=account.followers,
        following_count=account.following,
        like_count=account.likes,
        video_count=account.videos,
        followed_by_me=followed,
        created_at_ms=created_ms(account.id),
        private=account.private,
        teen=account.teen if own else None,
        tier=account.tier if own else None,
        birthdate=account.birthdate if own else None,
    )
