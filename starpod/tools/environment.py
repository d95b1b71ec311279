"""EnvGet: what is set in the environment, as far as it is nobody's secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pydantic import Field

from starpod.tools.types import Arguments, ToolContext, ToolFailure, ToolSpec

# Clouds, channels and the gateway itself: whatever stands there is the operator's.
SYSTEM = re.compile(r"(STARPOD|AWS|GOOGLE|GCP|GCLOUD|AZURE|SLACK|TELEGRAM|BRAVE|OAUTH)_.*|.*_API_BASE", re.IGNORECASE)
SECRET_NAME = re.compile(
    r"(^|_|-)(API_?)?(KEYS?|TOKENS?|SECRETS?|PASS|PASSWD|PASSWORD|PASSPHRASE|PWD|CREDENTIALS?|CREDS|AUTH|COOKIES?|SESSION|"
    r"PRIVATE|DSN|CERT|JWT|SALT|SIGNATURE|WEBHOOK)(_|-|\d|$)|APIKEY|PASSWORD|DATABASE_URL|CONNECTION_?STRING|GNUPG|SSH_",
    re.IGNORECASE,
)
# Beginnings of the keys of well-known services, a password inside a URL, a private key, a signed token.
SECRET_VALUE = re.compile(
    r"(sk|pk|rk|sp_live|sp_test|gh[pousr]|github_pat|glpat|xox[abprs]|AKIA|ASIA|AIza|hf|gsk|npm|pypi)[-_]?[A-Za-z0-9_-]{16,}"
    r"|[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@|-----BEGIN|eyJ[\w-]{10,}\.[\w-]{10,}\."
)
USUAL = frozenset({"PWD", "OLDPWD", "SHELL", "PATH", "HOME", "LANG", "TZ", "USER", "XDG_SESSION_TYPE"})


class EnvArguments(Arguments):
    key: str = Field(min_length=1, max_length=200, description="Name of an environment variable")


class Environment:
    """The tool over the environment in force, `.env` files included."""

    def __init__(self, environ: Callable[[], Mapping[str, str]]) -> None:
        self._environ = environ

    def tools(self) -> tuple[ToolSpec, ...]:
        """Always offered."""
        return (ToolSpec("EnvGet", "Read an environment variable that holds no secret.", EnvArguments, self.get),)

    def get(self, context: ToolContext, arguments: EnvArguments) -> str:
        """The value, or "not set". ToolFailure for what is restricted, whether it is set or not."""
        key = arguments.key.strip()
        if is_restricted(key):
            raise ToolFailure(f"{key!r} is restricted: keys and secrets are not shown to the agent.")
        value = self._environ().get(key)
        if value is None:
            return "not set"
        if SECRET_VALUE.search(value):
            raise ToolFailure(f"{key!r} is restricted: its value looks like a secret.")
        return value


def is_restricted(name: str) -> bool:
    """Whether a variable of this name is kept from the agent."""
    return name.upper() not in USUAL and (SYSTEM.fullmatch(name) is not None or SECRET_NAME.search(name) is not None)
