from __future__ import annotations

from pathlib import Path

import pytest

from starpod.tools.environment import EnvArguments, Environment
from starpod.tools.types import ToolContext, ToolFailure

CONTEXT = ToolContext("ann", "session", "turn", Path("/"), "user", lambda file: None, 1000)


def get(key: str, **environ: str) -> str:
    return Environment(lambda: environ).get(CONTEXT, EnvArguments(key=key))


@pytest.mark.parametrize(
    "name", ["EDITOR", "PATH", "TZ", "LANG", "PWD", "KEYBOARD_LAYOUT", "TOKENIZERS_PARALLELISM", "AUTHOR"]
)
def test_a_plain_variable_is_shown(name: str) -> None:
    assert get(name, **{name: "some value"}) == "some value"


def test_one_that_is_not_set_is_told() -> None:
    assert get("EDITOR") == "not set"
    assert get(" EDITOR ", EDITOR="vi") == "vi"


@pytest.mark.parametrize(
    "name",
    [
        "ANTHROPIC_API_KEY",
        "OPENAI_API_KEY",
        "openai_api_key",
        "BRAVE_API_KEY",
        "TELEGRAM_BOT_TOKEN",
        "STARPOD_API_KEY",
        "STARPOD_VAULT_KEY",
        "STARPOD_ANYTHING",
        "AWS_ACCESS_KEY_ID",
        "AWS_REGION",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "SLACK_APP_TOKEN",
        "DATABASE_URL",
        "PGPASSWORD",
        "DB_PASSWORD",
        "MYSQL_PWD",
        "GITHUB_TOKEN",
        "NPM_AUTH",
        "SSH_AUTH_SOCK",
        "SENTRY_DSN",
        "MY_SECRET",
        "SECRET_2",
        "COOKIE",
    ],
)
def test_secrets_are_restricted_whether_set_or_not(name: str) -> None:
    for environ in ({}, {name: "hidden-value"}):
        with pytest.raises(ToolFailure, match="restricted") as caught:
            get(name, **environ)
        assert "hidden-value" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "sp_live_" + "a1b2c3d4" * 5,
        "sk-ant-" + "x" * 40,
        "ghp_" + "x" * 36,
        "postgres://ann:hunter2@db/x",
        "-----BEGIN PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc",
    ],
)
def test_a_value_that_looks_like_a_secret_is_restricted_under_any_name(value: str) -> None:
    with pytest.raises(ToolFailure, match="looks like a secret") as caught:
        get("INNOCENT", INNOCENT=value)
    assert value not in str(caught.value)
