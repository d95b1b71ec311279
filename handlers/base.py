"""What every request goes through: host, sign-in, origin, limits, body, and one map from errors to statuses. No route can forget it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import tornado.iostream
import tornado.web
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from tornado.httputil import HTTPHeaders, HTTPServerRequest

from handlers.answers import Error
from handlers.operations import JSON, Access, Operation
from handlers.schemas import fields_of, parse
from starpod.auth.limits import retry_after
from starpod.auth.origins import host_allowed, same_origin_request
from starpod.auth.types import User
from starpod.errors import Conflict, Forbidden, InvalidInput, NotFound, StarpodError, TooSlow, Unavailable, Upstream
from starpod.sessions.types import Viewer
from starpod.telemetry import ids
from starpod.usage.budget_types import BudgetExceeded

if TYPE_CHECKING:
    from starpod.app import Application
    from starpod.state import AppState

logger = logging.getLogger(__name__)

T = TypeVar("T")
Q = TypeVar("Q", bound=BaseModel)
NO_OPERATIONS: Mapping[str, Operation] = MappingProxyType({})

COOKIE = "starpod_session"
MISSING_KEY = "Missing API key — set X-API-Key header"
INVALID_KEY = "Invalid API key"
ADMIN_ONLY = "Admin access required"
RATE_LIMITED = "Rate limit exceeded"
TOO_MANY_VALUES = "The body is large and holds too many values; send what is long as a file"
BODY_LIMIT = 2 * 1024 * 1024
LARGE_BODY = 256 * 1024
"""Bytes that are read on the event loop at most, where larger bodies are expected."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
STATUS: dict[type[StarpodError], int] = {
    InvalidInput: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooSlow: 504,
    Upstream: 502,
    BudgetExceeded: 402,
    Unavailable: 503,
}
SECURITY_HEADERS = {
    "Server": "Starpod",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Refused(tornado.web.HTTPError):
    """Ends a request with a status and a text that the client may see; `headers` and what is wrong with which field go with it."""

    def __init__(
        self, status: int, text: str, headers: dict[str, str] | None = None, fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, log_message=None)
        self.text = text
        self.headers = headers or {}
        self.fields = fields


@tornado.web.stream_request_body
class BaseHandler(tornado.web.RequestHandler):
    """A JSON route. What it takes and who may use it come from the route table; the body is read only after the caller was let in."""

    application: Application
    body_limit: ClassVar[int] = BODY_LIMIT
    most_values: ClassVar[int | None] = None
    """JSON over BODY_LIMIT may have about this many values at most: a body is large by the files in it, not by millions of objects."""
    error_shape: ClassVar[Any] = Error
    """The type of the JSON that tells errors."""

    def initialize(self, access: Access = "user", operations: Mapping[str, Operation] = NO_OPERATIONS) -> None:
        """Take the rules of the route from the table."""
        self.access: Access = access
        self.operations = operations
        self.user: User | None = None
        self._chunks: list[bytes] = []
        self._received = 0
        self._when_gone: Callable[[], object] | None = None
        self._is_gone = False

    @property
    def state(self) -> AppState:
        """The gateway's services."""
        return self.application.state

    @property
    def viewer(self) -> Viewer:
        """On whose behalf services are asked."""
        return Viewer(self.user.id, self.user.role == "admin") if self.user is not None else Viewer(None, True)

    @property
    def address(self) -> str:
        """Where the request comes from."""
        return self.request.remote_ip or "?"

    async def prepare(self) -> None:
        """Everything that is checked before the route's own code and before the body is read."""
        ids.request_id.set(note_request_id(self.request))
        self.application.begin_span(self)
        self.check_host()
        self.check_size()
        self.user = await self.identify() if self.access != "anyone" else None
        if self.access == "admin" and self.user is not None and self.user.role != "admin":
            raise Refused(403, ADMIN_ONLY)
        if self.user is not None:
            self.check_rate(self.user.id)

    def data_received(self, chunk: bytes) -> None:
        """Collect the body, up to the limit. What comes beyond it is dropped, and refused once somebody wants to read it.

        Raising here would make Tornado cut the connection without an answer.
        """
        self._received += len(chunk)
        if self._received <= self.body_limit:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()

    def check_host(self) -> None:
        """Refuse names that are not ours: a foreign page may have pointed its own name at this address."""
        if not _host_allowed(self.request.host, self.state.bind_host, self.state.config.auth.allowed_hosts):
            raise Refused(403, "This host name is not allowed. Add it to allowed_hosts under [auth] in agent.toml.")

    def check_size(self) -> None:
        """Refuse a body that announces itself as too large, before it is sent."""
        length = self.request.headers.get("Content-Length")
        if length is not None and (not length.isdigit() or int(length) > self.body_limit):
            raise self.too_large()

    def too_large(self) -> Refused:
        """The answer to a body over the limit."""
        return Refused(413, f"The body is larger than {self.body_limit} bytes", {"Connection": "close"})

    def check_rate(self, user_id: str) -> None:
        """Count the request against the user's limit."""
        wait_s = self.state.rate_limiter.hit(user_id)
        if wait_s is not None:
            line = self.state.auth.audit("rate_limited", user_id, None, self.address)
            self.state.tasks.spawn(line, name="audit")
            raise Refused(429, RATE_LIMITED, {"Retry-After": str(retry_after(wait_s))})

    async def identify(self) -> User | None:
        """The caller by key or cookie; None only while no user exists. Raises Refused(401) else, Unavailable when it cannot be known."""
        auth = self.state.auth
        key = presented_key(self.request.headers)
        if key is not None:
            known = auth.cached(key)
            if isinstance(known, User):
                return known
        elif (token := self.get_cookie(COOKIE)) is not None:
            user = await auth.authenticate_cookie(token)
            if user is not None:
                if self.request.method not in SAFE_METHODS and not same_origin_request(self.request.headers):
                    raise Refused(403, "This request comes from another site")
                return user
        if not await auth.has_users():
            return None
        self.check_failures()
        if key is None:
            raise Refused(401, MISSING_KEY)
        user = await auth.authenticate(key)
        if user is None:
            self.state.failed_attempts.record(self.address)
            await auth.audit("failed_auth", None, "invalid key", self.address)
            raise Refused(401, INVALID_KEY)
        return user

    def check_failures(self) -> None:
        """Refuse an address that tried too many wrong keys."""
        wait_s = self.state.failed_attempts.blocked(self.address)
        if wait_s is not None:
            raise Refused(429, "Too many failed attempts from this address", {"Retry-After": str(retry_after(wait_s))})

    @property
    def operation(self) -> Operation:
        """What the route table says of the request's method."""
        return self.operations["GET" if self.request.method == "HEAD" else self.request.method or ""]

    def read_bytes(self) -> bytes:
        """The body as it came. Raises Refused 413."""
        self._check_size()
        return b"".join(self._chunks)

    def read_body(self, model: type[T]) -> T:
        """The JSON body as the declared type. Raises Refused 413, 415 or 400, InvalidInput with `fields`."""
        self._check_body(model)
        read: T = self._parsed()
        return read

    async def read_large_body(self, model: type[T]) -> T:
        """`read_body` where bodies may have files in them: a large one is read in a thread."""
        self._check_body(model)
        read: T = await asyncio.to_thread(self._parsed) if self._received > LARGE_BODY else self._parsed()
        return read

    def _check_size(self) -> None:
        if self._received > self.body_limit:
            raise self.too_large()

    def _check_body(self, model: type[T]) -> None:
        if model is not self.operation.body:
            raise TypeError(f"{self.operation} does not take a {model}")
        self._check_size()
        content_type = self.request.headers.get("Content-Type", "")
        if content_type.split(";")[0].strip().lower() != JSON:
            raise Refused(415, "Send the body as JSON, with the header Content-Type: application/json")

    def _parsed(self) -> Any:
        if self.most_values and self._received > BODY_LIMIT and _has_more_values(self._chunks, self.most_values):
            raise Refused(413, TOO_MANY_VALUES)
        try:
            return parse(self.operation.body_adapter, b"".join(self._chunks))
        except ValueError as error:
            raise Refused(400, f"The body is not valid JSON: {error}") from error

    def read_query(self, model: type[Q]) -> Q:
        """The query string as the declared model; of a name that is repeated, the last. Raises Refused 400 with `fields`."""
        if model is not self.operation.query:
            raise TypeError(f"{self.operation} does not take a {model}")
        given = self.request.query_arguments
        values = {name: self.get_query_argument(name, strip=False) for name in model.model_fields if name in given}
        try:
            return model.model_validate(values)
        except ValidationError as error:
            fields = fields_of(error)
            raise Refused(
                400, "; ".join(f"{name}: {reason}" for name, reason in fields.items()), None, fields
            ) from error

    def asked_viewer(self, user_id: str | None) -> Viewer:
        """The caller, or for admins the user that they name. Raises Refused 403."""
        if user_id is None:
            return self.viewer
        if not self.viewer.is_admin:
            raise Refused(403, ADMIN_ONLY)
        return Viewer(user_id)

    def when_gone(self, callback: Callable[[], object]) -> None:
        """Have `callback` called when the client goes away before it is answered; at once when it is gone already."""
        self._when_gone = callback
        if self._is_gone:
            callback()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self._is_gone = True
        if self._when_gone is not None:
            self._when_gone()

    def send_json(self, body: Any, status: int = 200) -> None:
        """Answer with JSON: bytes as they are, anything else encoded."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(body if isinstance(body, bytes) else to_json(body, inf_nan_mode="null"))

    def finish(self, chunk: Any = None) -> asyncio.Future[None]:
        """End the answer. Tornado closes a connection on which it was refused before the body came, without a word of it in the headers:
        a proxy that keeps connections would send the next request into it.
        """
        if not getattr(self.request.connection, "_read_finished", True) and not self._headers_written:
            self.set_header("Connection", "close")
        return super().finish(chunk)

    def set_default_headers(self) -> None:
        for name, value in SECURITY_HEADERS.items():
            self.set_header(name, value)
        self.set_header("X-Request-ID", note_request_id(self.request))
        self.set_header("Cache-Control", "no-store")

    def compute_etag(self) -> None:
        """None: answers are never cached, so a hash of each would be wasted."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        body: dict[str, Any] = {"error": "internal error" if status_code >= 500 else self._reason}
        match error:
            case Refused():
                body = {"error": error.text} | ({"fields": error.fields} if error.fields else {})
                for name, value in error.headers.items():
                    self.set_header(name, value)
            case InvalidInput() if error.fields:
                status_code = 422
                body = {"error": str(error), "fields": error.fields}
            case StarpodError():
                status_code = status_of(error)
                body = {"error": str(error)}
            case tornado.web.HTTPError() if error.log_message and status_code < 500:
                body = {"error": self._reason}
        if status_code == 405:
            self.set_header("Allow", ", ".join(self.allowed_methods()))
        if status_code == 503:
            self.set_header("Retry-After", "1")
        status, shaped = self.shaped_error(status_code, body, error)
        self.send_json(shaped, status)

    def shaped_error(
        self, status: int, body: dict[str, Any], error: BaseException | None
    ) -> tuple[int, Mapping[str, Any]]:
        """Status and body of an error as this route's clients know them."""
        return status, body

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        if isinstance(value, Unavailable | Upstream):
            logger.warning("%s %s: %s", self.request.method, self.request.path, value)
        elif isinstance(value, tornado.iostream.StreamClosedError):
            logger.debug("%s %s: the client has gone", self.request.method, self.request.path)
        elif not isinstance(value, StarpodError | tornado.web.HTTPError):
            logger.error("%s %s failed", self.request.method, self.request.path, exc_info=value)

    async def head(self, *args: str, **kwargs: str) -> None:
        """As GET; Tornado leaves the body out."""
        answered = self.get(*args, **kwargs)
        if answered is not None:
            await answered

    def allowed_methods(self) -> list[str]:
        """The methods this route answers."""
        unanswered = tornado.web.RequestHandler._unimplemented_method
        names = [name for name in self.SUPPORTED_METHODS if getattr(type(self), name.lower()) is not unanswered]
        return names if "GET" in names else [name for name in names if name != "HEAD"]


def note_request_id(request: HTTPServerRequest) -> str:
    """The id of a request, for its answer and for what is logged meanwhile."""
    known: str | None = getattr(request, "starpod_id", None)
    if known is None:
        known = ids.choose_request_id(request.headers.get("X-Request-ID"))
        request.starpod_id = known  # type: ignore[attr-defined]
    return known


def status_of(error: StarpodError) -> int:
    """The HTTP status of a domain error."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


def presented_key(headers: HTTPHeaders) -> str | None:
    """The API key of a request: `X-API-Key`, else `Authorization: Bearer`."""
    if (key := headers.get("X-API-Key")) is not None:
        return key.strip()
    scheme, _, credential = headers.get("Authorization", "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else None


def _has_more_values(chunks: Iterable[bytes], most: int) -> bool:
    """Whether JSON has more commas and opening brackets than `most`: parsing it would hold up everybody for seconds."""
    count = 0
    for chunk in chunks:
        count += chunk.count(b",") + chunk.count(b"{") + chunk.count(b"[")
        if count > most:
            return True
    return False


@lru_cache(maxsize=256)
def _host_allowed(host: str, bind_host: str, allowed: tuple[str, ...]) -> bool:
    return host_allowed(host, bind_host, allowed)


class UnknownPathHandler(BaseHandler):
    """Whatever the route table does not name."""

    def initialize(self, access: Access = "anyone", operations: Mapping[str, Operation] = NO_OPERATIONS) -> None:
        super().initialize(access, operations)

    async def prepare(self) -> None:
        await super().prepare()
        raise Refused(404, f"There is nothing at {self.request.path[:200]}")


def number_of(text: str, what: str) -> int:
    """The number that a part of a path names something by. NotFound for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise NotFound(f"There is no {what} {text[:40]!r}")
    return int(text)
