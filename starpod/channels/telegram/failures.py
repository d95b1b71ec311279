"""What goes wrong with Telegram, in our own words.

No error that leaves this module, and nothing that is logged, holds the token: the library puts it into addresses and messages.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")

SEEN_TOKEN = re.compile(r"(?<!\d)\d+:[A-Za-z0-9_-]{6,}")
LOST_CHAT = re.compile(
    "chat not found|user not found|peer_id_invalid|chat_write_forbidden|not enough rights|deactivated", re.I
)
TOO_LARGE = re.compile("entity too large", re.IGNORECASE)


class Unreachable(Exception):
    """The person cannot be reached, however often it is tried: the bot was blocked, or the chat is gone. The text is fit to show."""


class Refused(Exception):
    """Telegram will not take this, however often it is sent. The text is fit to show."""


class Failing(Exception):
    """Telegram cannot be reached, or does not answer as it should. `wait_s`: how long it asked to be left alone.

    `is_lasting`: it will not pass by itself. The text is fit to show.
    """

    def __init__(self, reason: str, *, wait_s: float = 0.0, is_lasting: bool = False) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.is_lasting = is_lasting


class TooLarge(Exception):
    """A file is larger than it may be; the argument is its size in bytes as far as it is known."""


class HideToken(logging.Filter):
    """Takes tokens out of what the libraries log: they write whole addresses."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if SEEN_TOKEN.search(message):
            record.msg, record.args = SEEN_TOKEN.sub("<token>", message), None
        return True


async def told(call: Callable[[], Awaitable[T]]) -> T:
    """Call, with the library's errors in our words."""
    try:
        return await call()
    except RetryAfter as error:
        wait = error.retry_after
        seconds = wait if isinstance(wait, int | float) else wait.total_seconds()
        raise Failing(f"Telegram asked to wait for {seconds:g} s", wait_s=float(seconds)) from None
    except InvalidToken:
        raise Failing(
            "Telegram does not know the token; set TELEGRAM_BOT_TOKEN to the one that @BotFather shows", is_lasting=True
        ) from None
    except Conflict as error:
        if "webhook" in error.message.lower():
            raise Failing("a webhook is set for this bot, so it cannot be polled") from None
        raise Failing("another program polls this bot; stop it, or give this agent a bot of its own") from None
    except Forbidden as error:
        raise Unreachable(hidden(error.message)) from None
    except ChatMigrated:
        raise Unreachable("the group became a supergroup; write there again") from None
    except BadRequest as error:
        if LOST_CHAT.search(error.message):
            raise Unreachable(hidden(error.message)) from None
        raise Refused(hidden(error.message)) from None
    except (TimedOut, TimeoutError):
        raise Failing("Telegram did not answer in time") from None
    except NetworkError as error:
        if TOO_LARGE.search(error.message):
            raise Refused("it is larger than Telegram takes") from None
        raise Failing(f"Telegram cannot be reached: {hidden(error.message)}"[:200]) from None
    except TelegramError as error:
        raise Failing(hidden(error.message)[:200]) from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        # An answer of another shape than the library knows.
        raise Failing(f"Telegram's answer could not be read: {type(error).__name__}") from None


async def quietly(call: Callable[[], Awaitable[object]]) -> None:
    try:
        await told(call)
    except (Failing, Refused, Unreachable) as error:
        logger.debug("Telegram: %s", error)


def hidden(text: str) -> str:
    """The text without anything that looks like a token."""
    return SEEN_TOKEN.sub("<token>", text)
