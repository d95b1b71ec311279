"""The records of the vault, and which names a secret may have. None of them holds a value."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase

from starpod.errors import InvalidInput

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
# Variables that change how programs run, find each other or are trusted; secrets go by other names.
DENIED = (
    "PATH", "HOME", "SHELL", "USER", "LOGNAME", "PWD", "OLDPWD", "IFS", "ENV", "BASH_*", "TERM", "TMPDIR", "TMP", "TEMP",
    "LANG", "LANGUAGE", "LC_*", "TZ", "LD_*", "DYLD_*", "PYTHON*", "PERL*", "RUBY*", "NODE_*", "JAVA_*", "JDK_*",
    "_JAVA_*", "GIT_*", "SSH_*", "MALLOC_*", "GLIBC_*", "GCONV_*", "NLSPATH", "LOCPATH", "HOSTALIASES", "RES_OPTIONS",
    "OPENSSL_*", "SSL_*", "SSLKEYLOGFILE", "REQUESTS_CA_BUNDLE", "CURL_*", "*_PROXY", "STARPOD_*", "UV_*", "SYSTEMROOT",
    "COMSPEC", "PATHEXT", "EDITOR", "VISUAL", "PAGER", "BROWSER", "PROMPT_COMMAND", "PS4",
)  # fmt: skip
# What the gateway itself reads; the page marks them.
SYSTEM = (
    "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY", "DEEPSEEK_API_KEY", "OPENROUTER_API_KEY",
    "BRAVE_API_KEY", "TELEGRAM_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", "AWS_*", "GOOGLE_*", "GCP_*",
)  # fmt: skip
LONGEST_VALUE = 65_536
MASKED_FROM = 20
TAIL = 4


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """A row as it is stored."""

    name: str
    nonce: bytes = field(repr=False)
    sealed: bytes = field(repr=False)
    allowed_hosts: tuple[str, ...] | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class VaultEntry:
    """What may be shown of a secret. `tail` is the end of a long value, None for a short one; `is_damaged` when the row
    does not open any more: save the value again, or delete it."""

    name: str
    is_system: bool
    allowed_hosts: tuple[str, ...] | None
    tail: str | None
    updated_at: datetime
    is_damaged: bool = False


@dataclass(frozen=True, slots=True)
class VaultStamp:
    """`generation` grows with every change, by whichever process; `key_id` tells which key sealed the rows, None while empty."""

    generation: int
    key_id: str | None


def check_name(name: str) -> None:
    """Raises InvalidInput unless a secret may have this name."""
    if not name:
        raise InvalidInput("The name of a secret cannot be empty")
    if not NAME.fullmatch(name):
        raise InvalidInput(
            "A secret's name has up to 128 letters, digits and underscores and does not begin with a digit"
        )
    if is_denied(name):
        raise InvalidInput(f"{name} steers how programs run, so no secret may have this name")


def check_value(value: str) -> None:
    """Raises InvalidInput unless this can be kept."""
    if not value.strip():
        raise InvalidInput("The value of a secret cannot be empty")
    if len(value.encode(errors="replace")) > LONGEST_VALUE:
        raise InvalidInput(f"The value of a secret may have {LONGEST_VALUE} bytes at most")
    if "\0" in value:
        raise InvalidInput("The value of a secret cannot hold a null character")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("The value of a secret is no valid Unicode") from error


def is_denied(name: str) -> bool:
    """Whether the name belongs to a variable that steers programs, in whatever case."""
    return any(fnmatchcase(name.upper(), pattern) for pattern in DENIED)


def is_system(name: str) -> bool:
    """Whether the gateway itself uses the secret of this name."""
    return any(fnmatchcase(name, pattern) for pattern in SYSTEM)


def tail_of(value: str) -> str | None:
    """The last characters of a value so long that they give nothing away."""
    return value[-TAIL:] if len(value) >= MASKED_FROM and value.isprintable() else None
