"""Who am I, sign in, sign out."""

from __future__ import annotations

from handlers.answers import SignedIn, Verified
from handlers.base import COOKIE, INVALID_KEY, BaseHandler, Refused, presented_key
from handlers.schemas import LoginBody
from starpod.auth.origins import same_origin_request
from starpod.auth.types import User
from starpod.errors import Unavailable


class VerifyHandler(BaseHandler):
    """`GET /api/auth/verify`: always 200, and limited like any other check of a key."""

    async def get(self) -> None:
        try:
            if not await self.state.auth.has_users():
                return self.send_json({"authenticated": True, "auth_disabled": True})
            user = await self._find()
        except Unavailable:
            user = None
        body: Verified = {"authenticated": user is not None, "auth_disabled": False}
        if user is not None:
            body["user"] = describe(user)
        return self.send_json(body)

    async def _find(self) -> User | None:
        key = presented_key(self.request.headers)
        token = self.get_cookie(COOKIE)
        if (key is None and token is None) or self.state.failed_attempts.blocked(self.address) is not None:
            return None
        if key is None:
            return await self.state.auth.authenticate_cookie(token or "")
        user = await self.state.auth.authenticate(key)
        if user is None:
            self.state.failed_attempts.record(self.address)
        return user


class LoginHandler(BaseHandler):
    """`POST /api/auth/login`: trade a key or a one-time code for a cookie that no script can read."""

    async def post(self) -> None:
        if not same_origin_request(self.request.headers):
            raise Refused(403, "This request comes from another site")
        self.check_failures()
        body = self.read_body(LoginBody)
        credential = (body.key or body.code or "").strip()
        if not credential:
            raise Refused(400, "Send a key, or the code of a sign-in link")
        sign_in = await self.state.auth.sign_in(credential, self.address)
        if sign_in is None:
            self.state.failed_attempts.record(self.address)
            raise Refused(401, INVALID_KEY if body.key else "This sign-in link was used already, or is too old")
        self.set_cookie(
            COOKIE,
            sign_in.token,
            expires=sign_in.expires_at,
            max_age=max(
                0, int((sign_in.expires_at - self.state.clock.now()).total_seconds())
            ),  # whatever the browser's clock
            path="/",
            httponly=True,
            samesite="Strict",
            secure=self.request.protocol == "https",
        )
        self.send_json({"user": describe(sign_in.user)})


class LogoutHandler(BaseHandler):
    """`POST /api/auth/logout`: end the browser's session; harmless when there is none."""

    async def post(self) -> None:
        if not same_origin_request(self.request.headers):
            raise Refused(403, "This request comes from another site")
        if (token := self.get_cookie(COOKIE)) is not None:
            await self.state.auth.sign_out(token, self.address)
        self.clear_cookie(COOKIE, path="/")
        self.send_json({"ok": True})


def describe(user: User) -> SignedIn:
    """A user as `verify` shows it."""
    return {
        "id": user.id,
        "display_name": user.display_name,
        "role": user.role,
        "filesystem_enabled": user.filesystem_enabled,
    }
