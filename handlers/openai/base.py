"""What the routes of OpenAI's protocol share: who asks, and errors in the shape and with the statuses that its clients know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.base import BaseHandler, Refused, status_of
from handlers.openai.shapes import Failure
from starpod.errors import InvalidInput, StarpodError, Upstream
from starpod.usage.budget_types import BudgetExceeded

# Where a request of the protocol has what the agent calls otherwise.
PARAMETERS = {"text": "messages", "channel_session_key": "user", "client_message_id": "Idempotency-Key"}
KINDS = {401: "invalid_request_error", 403: "permission_error", 409: "conflict_error", 429: "rate_limit_error"}
CODES = {401: "invalid_api_key", 404: "not_found", 429: "rate_limit_exceeded"}


class OpenAIHandler(BaseHandler):
    """A route below `/v1`. The key comes as `Authorization: Bearer`, as `X-API-Key`, or is the page's cookie."""

    error_shape = Failure

    def shaped_error(
        self, status: int, body: dict[str, Any], error: BaseException | None
    ) -> tuple[int, Mapping[str, Any]]:
        text, param, code = str(body["error"]), None, CODES.get(status)
        match error:
            case BudgetExceeded():
                status, code = status_and_code(error)
            case InvalidInput():
                status = 400
                param = next(iter(error.fields), None)
                text = told(error)
                if param == "model":
                    status, code = 404, "model_not_found"
        if isinstance(error, BudgetExceeded | Upstream):
            # The gateway has tried again already, and each further try would be one more message of the conversation.
            self.set_header("x-should-retry", "false")
        return status, failure(text, status, param=PARAMETERS.get(param, param) if param else None, code=code)


def status_and_code(error: StarpodError) -> tuple[int, str | None]:
    """How the protocol tells a domain error; a used-up budget is what it calls a quota."""
    if isinstance(error, BudgetExceeded):
        return 429, "insufficient_quota"
    return status_of(error), None


def told(error: InvalidInput) -> str:
    """The error with what is said of its fields, each reason once."""
    reasons = [reason for reason in error.fields.values() if reason not in str(error)]
    return "; ".join((str(error), *reasons))


def failure(text: str, status: int, *, param: str | None = None, code: str | None = None) -> Failure:
    """An error as the protocol has it."""
    kind = KINDS.get(status) or ("invalid_request_error" if status < 500 else "server_error")
    if code == "insufficient_quota":
        kind = code
    return {"error": {"message": text, "type": kind, "param": param, "code": code}}


class UnknownHandler(OpenAIHandler):
    """Whatever of the protocol is not here."""

    async def prepare(self) -> None:
        await super().prepare()
        raise Refused(404, f"Unknown request URL: {self.request.method} {self.request.path[:200]}")
