"""The rules of auth: who a credential belongs to, and who may have one.

Answers are remembered for two seconds (`AnswerCache`), so a key revoked by another process works that much longer at most; a change made
through this object acts at once. A failing database is `Unavailable`, never "no users" or "wrong key".
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from starpod.auth import audit_store, credentials, store
from starpod.auth.cache import AnswerCache
from starpod.auth.limits import SlidingWindow, address_key
from starpod.auth.links import TelegramLinks
from starpod.auth.types import (
    MISS,
    OPERATOR,
    UNSET,
    Actor,
    ApiKey,
    AuditEvent,
    AuditFilter,
    Bootstrap,
    Candidate,
    EventType,
    Miss,
    NewCookie,
    NewKey,
    Role,
    SignIn,
    User,
    UserChanges,
)
from starpod.auth.verifier import Verifier
from starpod.clock import Clock
from starpod.db.database import Database
from starpod.errors import InvalidInput, NotFound

logger = logging.getLogger(__name__)

MAX_TEXT = 200
MAX_EMAIL = 320
NOISE_KEPT = timedelta(days=90)
NOISE_ROWS_A_MINUTE = 60
TOUCH_EVERY = timedelta(minutes=1)
LONGEST_OVERLAP_S = 30 * 86400
MOST_KEYS = 100


class Auth:
    """Users, keys and sign-ins of one gateway. Its coroutines belong to one event loop; `close` at the end."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        hasher: credentials.Hasher | None = None,
        sign_in_lifetime: timedelta = timedelta(days=30),
    ) -> None:
        self._database = database
        self._clock = clock
        self._verifier = Verifier(hasher or credentials.Argon2Hasher())
        self.sign_in_lifetime = sign_in_lifetime
        self.links = TelegramLinks(database, clock)
        # Told, on the loop, whose rights just changed; None when it may be anybody's.
        self.on_change: Callable[[str | None], None] = lambda user_id: None
        self._keys = AnswerCache(clock)
        self._cookies = AnswerCache(clock)
        self._any_users = False
        self._used: dict[str, datetime] = {}
        self._noise_by_source = SlidingWindow(1, 60, clock)
        self._noise_in_all = SlidingWindow(NOISE_ROWS_A_MINUTE, 60, clock)

    # Checking

    async def has_users(self) -> bool:
        """Whether anybody was ever created. Raises Unavailable when the database does not answer."""
        if not self._any_users:
            self._any_users = await self._database.read(store.has_users)
        return self._any_users

    def cached(self, key: str) -> User | Miss | None:
        """The user of a key without any waiting, None when it is known to be wrong, MISS when `authenticate` must look."""
        return self._keys.get(credentials.digest(key)) if credentials.is_usable(key) else None

    def cached_cookie(self, token: str) -> User | Miss | None:
        """`cached` for a session cookie."""
        return self._cookies.get(credentials.digest(token)) if credentials.is_usable(token) else None

    async def authenticate(self, key: str) -> User | None:
        """The active user of a key that is neither revoked nor expired, else None. Raises Unavailable."""
        answer = self.cached(key)
        if answer is not MISS:
            return answer
        generation = self._keys.generation
        found = await self._find_key(key)
        self._remember(self._keys, key, found, generation)
        return None if found is None else found.user

    async def authenticate_cookie(self, token: str) -> User | None:
        """The active user of a session cookie that has not ended, nor the key that opened it; else None. Raises Unavailable."""
        answer = self.cached_cookie(token)
        if answer is not MISS:
            return answer
        generation = self._cookies.generation
        found = await self._database.read(store.find_cookie, credentials.digest(token), self._clock.now())
        self._remember(self._cookies, token, found, generation)
        return None if found is None else found.user

    # Signing in

    async def create_sign_in_code(self, user_id: str, ttl_s: float = 600) -> str:
        """A code that signs this user in once within `ttl_s` seconds. Raises NotFound for an unknown or deactivated user."""
        code, now = credentials.new_code(), self._clock.now()
        await self._database.run(
            store.create_code, user_id, credentials.digest(code), now + timedelta(seconds=ttl_s), now
        )
        return code

    async def sign_in(self, credential: str, ip: str | None) -> SignIn | None:
        """Trade a key or a one-time code for a session cookie; None, with a line in the audit log, when it is not good.

        A cookie opened by a key ends with that key. Raises Unavailable.
        """
        signed_in = await self._sign_in(credential, ip) if credentials.is_usable(credential) else None
        if signed_in is None:
            await self.audit("failed_auth", None, "sign-in refused", ip)
        return signed_in

    async def sign_out(self, token: str, ip: str | None = None) -> None:
        """End a session cookie; an unknown one changes nothing."""
        if credentials.is_usable(token):
            try:
                await self._database.run(store.end_cookie, credentials.digest(token), self._clock.now(), ip)
            finally:
                self._cookies.clear()

    # Users

    async def bootstrap(self, environ: Mapping[str, str]) -> Bootstrap | None:
        """Make the first admin, or nothing when anybody exists. Only the result holds the key; nothing is logged.

        STARPOD_API_KEY, when set, becomes the admin's key; else one is made. Raises InvalidInput for a key that no client could send.
        """
        if await self.has_users():
            return None
        chosen = environ.get("STARPOD_API_KEY", "").strip()
        if chosen and not credentials.is_usable(chosen):
            raise InvalidInput(
                f"STARPOD_API_KEY must be 1 to {credentials.MAX_LENGTH} printable ASCII characters. Choose another, or unset it."
            )
        if chosen and len(chosen) < 16:
            logger.warning(
                "STARPOD_API_KEY is short enough to be guessed; make a longer key in the settings and revoke this one"
            )
        key = chosen or credentials.new_key()
        is_chosen = not credentials.is_generated(key)
        key_hash = await self._verifier.hash(key) if is_chosen else credentials.key_hash(key)
        label = "Imported from STARPOD_API_KEY" if chosen else "Auto-generated admin key"
        new = NewKey(credentials.key_prefix(key), key_hash, label)
        made = await self._database.run(store.bootstrap, new, self._clock.now())
        self._any_users = True
        self._forget()
        return None if made is None else Bootstrap(made[0], made[1], key, imported=bool(chosen))

    async def get_user(self, user_id: str) -> User:
        """The user. Raises NotFound."""
        return await self._database.read(store.get_user, user_id)

    async def list_users(self) -> list[User]:
        """Everybody, the oldest first."""
        return await self._database.read(store.list_users)

    async def create_user(
        self,
        email: str | None = None,
        display_name: str | None = None,
        role: Role = "user",
        filesystem_enabled: bool = False,
        *,
        actor: Actor = OPERATOR,
    ) -> User:
        """Add an active user without a key. Raises InvalidInput, and Conflict for an email that somebody has."""
        email, display_name = _email(email), _text(display_name, "display_name")
        user = await self._database.run(
            store.create_user, email, display_name, _role(role), filesystem_enabled, self._clock.now(), actor
        )
        self._any_users = True
        return user

    async def update_user(self, user_id: str, changes: UserChanges, *, actor: Actor = OPERATOR) -> User:
        """Change what is given.

        Raises InvalidInput, NotFound, and Conflict for a taken email or for the last active admin becoming a plain user.
        """
        checked = UserChanges(
            UNSET if changes.email is UNSET else _email(changes.email),
            UNSET if changes.display_name is UNSET else _text(changes.display_name, "display_name"),
            UNSET if changes.role is UNSET else _role(changes.role),
            changes.filesystem_enabled,
        )
        try:
            return await self._database.run(store.update_user, user_id, checked, self._clock.now(), actor)
        finally:
            self._forget(user_id)

    async def set_active(self, user_id: str, active: bool, *, actor: Actor = OPERATOR) -> User:
        """Let a user in again, or shut them out at once. Raises NotFound, Conflict for the last active admin, InvalidInput for oneself."""
        if not active and actor.user_id == user_id:
            raise InvalidInput("Cannot deactivate yourself")
        try:
            return await self._database.run(store.set_active, user_id, active, self._clock.now(), actor)
        finally:
            self._forget(user_id)

    async def delete_user(self, user_id: str, *, actor: Actor = OPERATOR) -> None:
        """Delete a user with their keys, sign-ins and link; they are shut out at once.

        What they own elsewhere is not touched. Raises NotFound, Conflict for the last active admin, InvalidInput for oneself.
        """
        if actor.user_id == user_id:
            raise InvalidInput("Cannot delete yourself")
        try:
            await self._database.run(store.delete_user, user_id, self._clock.now(), actor)
        finally:
            self._forget(user_id)

    async def telegram_user(self, telegram_id: int, username: str | None) -> User | None:
        """The active user behind a Telegram account, else None; a link by name gets the account's number. Raises Unavailable."""
        return await self.links.user_of(telegram_id, username)

    # Keys

    async def list_keys(self, user_id: str) -> list[ApiKey]:
        """A user's keys, revoked ones too, the newest first; none for an unknown user."""
        return await self._database.read(store.list_keys, user_id)

    async def create_key(
        self, user_id: str, label: str | None = None, expires_at: datetime | None = None, *, actor: Actor = OPERATOR
    ) -> tuple[ApiKey, str]:
        """A new key, with the one chance to see it. Raises InvalidInput for an `expires_at` in the past, NotFound for the user."""
        now = self._clock.now()
        if expires_at is not None and (expires_at.tzinfo is None or expires_at <= now):
            raise InvalidInput("The key would never work", {"expires_at": "must be in the future, with a time zone"})
        key = credentials.new_key()
        new = NewKey(credentials.key_prefix(key), credentials.key_hash(key), _text(label, "label"), expires_at)
        stored = await self._database.run(store.create_key, user_id, new, MOST_KEYS, now, actor)
        return stored, key

    async def get_key(self, key_id: str, *, owner_id: str | None = None) -> ApiKey:
        """A key, of this owner if one is named. Raises NotFound."""
        key = await self._database.read(store.get_key, key_id)
        if owner_id is not None and key.user_id != owner_id:
            raise NotFound("API key not found")
        return key

    async def rotate_key(self, key_id: str, overlap_s: int = 0, *, actor: Actor = OPERATOR) -> tuple[ApiKey, str]:
        """A new key in the place of an old one, which still works for `overlap_s` seconds; the one chance to see the new one.

        Raises InvalidInput, NotFound, Conflict for a key that has ended.
        """
        if not 0 <= overlap_s <= LONGEST_OVERLAP_S:
            raise InvalidInput(
                "overlap_s is not usable", {"overlap_s": f"must be from 0 to {LONGEST_OVERLAP_S} seconds"}
            )
        key = credentials.new_key()
        new = NewKey(credentials.key_prefix(key), credentials.key_hash(key), None)
        overlap = timedelta(seconds=overlap_s)
        try:
            made = await self._database.run(store.rotate_key, key_id, new, self._clock.now(), overlap, actor)
        finally:
            self._forget()
        return made, key

    async def revoke_key(self, key_id: str, *, actor: Actor = OPERATOR) -> ApiKey:
        """End a key and the cookies that it opened, at once; a second time changes nothing. Raises NotFound."""
        try:
            return await self._database.run(store.revoke_key, key_id, self._clock.now(), actor)
        finally:
            self._forget()

    # The audit log and upkeep

    async def audit(self, event_type: EventType, user_id: str | None, detail: str | None, ip: str | None) -> None:
        """Add a line. Refused callers get one a minute for each address (or user), and 60 in all, so that they cannot fill the disk."""
        if event_type in ("failed_auth", "rate_limited"):
            source = f"{event_type} {user_id or address_key(ip)}"
            if self._noise_by_source.peek(source) is not None or self._noise_in_all.hit("") is not None:
                return
            self._noise_by_source.hit(source)
        await self._database.run(
            store.record_event, event_type, user_id, detail and detail[:MAX_TEXT], ip, self._clock.now()
        )

    async def list_audit(self, limit: int = 100, wanted: AuditFilter | None = None) -> list[AuditEvent]:
        """The newest lines that are wanted, the newest first; at most 1000."""
        limit = max(0, min(limit, 1000))
        return await self._database.read(audit_store.list_audit, wanted or AuditFilter(), limit)

    async def flush(self) -> None:
        """Write down when keys were last used. What cannot be written now is kept for the next time; raises Unavailable then."""
        if not self._used:
            return
        used, self._used = self._used, {}
        try:
            await self._database.run(store.touch_keys, used)
        except BaseException:
            self._used = used | self._used
            raise

    async def sweep(self) -> int:
        """Delete what ended: cookies and codes, old audit lines about refused callers, stale answers. Returns the rows deleted."""
        for cache in (self._keys, self._cookies):
            cache.sweep()
        self._noise_by_source.sweep()
        now = self._clock.now()
        deleted = await self._database.run(store.delete_ended_sign_ins, now)
        return deleted + await self._database.run(store.delete_old_noise, now - NOISE_KEPT)

    def close(self) -> None:
        """End the hashing thread; idempotent. The database belongs to the caller."""
        self._verifier.close()

    async def _find_key(self, key: str) -> Candidate | None:
        now = self._clock.now()
        digest, fast = credentials.digest(key), credentials.key_hash(key)
        for candidate in await self._database.read(store.find_keys, credentials.key_prefix(key), now):
            if credentials.is_fast_hash(candidate.secret_hash):
                matches = credentials.same_hash(candidate.secret_hash, fast)
            else:
                matches = await self._verifier.verify(digest, key, candidate.secret_hash)
            if matches:
                self._note_use(candidate, now)
                return candidate
        return None

    def _note_use(self, candidate: Candidate, now: datetime) -> None:
        last = self._used.get(candidate.key_id or "", candidate.last_used_at)
        if candidate.key_id is not None and (last is None or now - last >= TOUCH_EVERY):
            self._used[candidate.key_id] = now

    def _remember(self, cache: AnswerCache, credential: str, found: Candidate | None, generation: int) -> None:
        lifetime_s = None
        if found is not None and found.expires_at is not None:
            lifetime_s = (found.expires_at - self._clock.now()).total_seconds()
        cache.put(
            credentials.digest(credential), None if found is None else found.user, generation, lifetime_s=lifetime_s
        )

    async def _sign_in(self, credential: str, ip: str | None) -> SignIn | None:
        token, now = credentials.new_token(), self._clock.now()
        cookie = NewCookie(credentials.sign_in_id(token), credentials.digest(token), now + self.sign_in_lifetime)
        if credential.startswith(credentials.CODE_START):
            user = await self._database.run(store.sign_in_with_code, credentials.digest(credential), cookie, now, ip)
            if user is not None:
                return SignIn(token, user, cookie.expires_at)
        found = await self._find_key(credential)
        if found is None or found.key_id is None:
            return None
        opened = await self._database.run(store.sign_in_with_key, found.key_id, cookie, now, ip)
        return None if opened is None else SignIn(token, *opened)

    def _forget(self, user_id: str | None = None) -> None:
        self._keys.clear()
        self._cookies.clear()
        self._verifier.forget()
        self.on_change(user_id)


def _text(value: str | None, name: str) -> str | None:
    text = (value or "").strip()
    if len(text) > MAX_TEXT:
        raise InvalidInput(f"{name} is too long", {name: f"must have at most {MAX_TEXT} characters"})
    return text or None


def _email(value: str | None) -> str | None:
    text = (value or "").strip()
    if text and (
        len(text) > MAX_EMAIL or not 0 < text.find("@") < len(text) - 1 or not text.isprintable() or " " in text
    ):
        raise InvalidInput("email is not an email address", {"email": "must look like name@example.org"})
    return text or None


def _role(value: Role) -> Role:
    if value not in ("user", "admin"):
        raise InvalidInput("role is unknown", {"role": "must be user or admin"})
    return value
