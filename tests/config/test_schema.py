"""The shipped agent.toml and the schema say the same; values keep to their types and bounds."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ValidationError

from starpod.config.mcp import McpServerConfig
from starpod.config.schema import Config, ProviderConfig
from starpod.config.types import split_address, split_model
from starpod.paths import shipped

TEMPLATE = (shipped("conf") / "agent.toml").read_text("utf-8")
UNSET = re.compile(r"^# (?:[a-z_]+ = \S|\[[a-z_.]+\]$)", re.MULTILINE)


def leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, (*path, key))
        elif path == () and key == "providers":
            yield from leaves(ProviderConfig, ("providers", "openai"))
        elif path == ("mcp",):
            yield from leaves(McpServerConfig, ("mcp", "servers", "*"))
        else:
            yield (*path, key)


def shown() -> set[tuple[str, ...]]:
    """Every key in the template, also those that are commented out because they have no default."""
    live = UNSET.sub(lambda line: line[0].removeprefix("# "), TEMPLATE)

    def walk(table: dict[str, object], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for key, value in table.items():
            if isinstance(value, dict) and value and key not in ("env", "headers"):
                yield from walk(value, (*path, key))
            else:
                yield (*path, key)

    return {
        ("mcp", "servers", "*", *path[3:]) if path[:2] == ("mcp", "servers") else path
        for path in walk(tomllib.loads(live), ())
    }


def test_the_template_shows_every_key_and_no_other() -> None:
    assert shown() == set(leaves(Config))


def test_the_template_holds_the_defaults() -> None:
    assert Config.model_validate(tomllib.loads(TEMPLATE)) == Config()


def test_every_key_has_help() -> None:
    def without(model: type[BaseModel]) -> Iterator[str]:
        for key, field in model.model_fields.items():
            if not field.description:
                yield f"{model.__name__}.{key}"
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield from without(field.annotation)

    assert [*without(Config), *without(ProviderConfig)] == []


def test_every_commented_key_of_the_template_is_valid_when_it_is_set() -> None:
    live = UNSET.sub(lambda line: line[0].removeprefix("# "), TEMPLATE)
    assert Config.model_validate(tomllib.loads(live)).timezone == "Europe/Berlin"


def test_the_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError):
        Config().max_turns = 1  # type: ignore[misc]


def test_every_known_provider_has_settings_also_when_only_one_is_given() -> None:
    config = Config.model_validate({"providers": {"openai": {"base_url": "http://127.0.0.1:1/v1"}}})
    assert config.providers["openai"].base_url == "http://127.0.0.1:1/v1"
    assert config.providers["anthropic"] == ProviderConfig()


def test_a_custom_provider_needs_an_address() -> None:
    spec = {"models": ["my-llm/small"]}
    with pytest.raises(ValidationError, match="unknown provider"):
        Config.model_validate(spec)
    config = Config.model_validate(spec | {"providers": {"my-llm": {"base_url": "http://10.0.0.2/v1"}}})
    assert config.models == ("my-llm/small",)


@pytest.mark.parametrize("key", ["timezone", "compaction_model", "reasoning_effort"])
def test_an_empty_text_means_not_set(key: str) -> None:
    assert getattr(Config.model_validate({key: ""}), key) is None


def test_an_unknown_stream_mode_is_final_only() -> None:
    config = Config.model_validate({"channels": {"telegram": {"stream_mode": "loud"}}})
    assert config.channels.telegram.stream_mode == "final_only"


def test_the_name_follows_the_agent_name() -> None:
    assert Config.model_validate({"agent_name": "Ada"}).name == "Ada"
    assert Config.model_validate({"agent_name": "Ada", "name": "Countess"}).name == "Countess"


@pytest.mark.parametrize(
    ("older", "models"),
    [
        ({"provider": "openai", "model": "gpt-4o"}, ("openai/gpt-4o",)),
        ({"provider": "openrouter", "model": "openai/gpt-4o"}, ("openrouter/openai/gpt-4o",)),
        ({"model": "claude-opus-4-6"}, ("anthropic/claude-opus-4-6",)),
        ({"provider": "deepseek"}, ("deepseek/deepseek-chat",)),
        ({"provider": "openai", "model": "gpt-4o", "models": ["groq/x"]}, ("groq/x",)),
    ],
)
def test_older_keys_become_models(older: dict[str, object], models: tuple[str, ...]) -> None:
    assert Config.model_validate(older).models == models


def test_an_older_compaction_provider_becomes_part_of_the_model() -> None:
    config = Config.model_validate({"compaction_provider": "openai", "compaction_model": "gpt-4o-mini"})
    assert config.compaction_model == "openai/gpt-4o-mini"


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:3000", ("127.0.0.1", 3000)), ("[::1]:0", ("::1", 0)), ("localhost:80", ("localhost", 80))],
)
def test_an_address_is_split(text: str, address: tuple[str, int]) -> None:
    assert split_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "3000", ":3000", "host", "host:", "host:x", "host:65536", "::1:3000", "http://h:1", "h:-1", "h:²"]
)
def test_a_wrong_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        split_address(text)


def test_a_model_may_hold_further_slashes() -> None:
    assert split_model("openrouter/openai/gpt-4o") == ("openrouter", "openai/gpt-4o")


@pytest.mark.parametrize("entry", ["", "  ", "Read: x", "Bash:", "Bash: ", "two words", "a*b"])
def test_an_approval_entry_is_a_tool_or_a_command(entry: str) -> None:
    with pytest.raises(ValidationError):
        Config.model_validate({"tools": {"approval": {"ask": [entry]}}})


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        ({}, "either a command or a url"),
        ({"command": "x", "url": "http://x"}, "either a command or a url"),
        ({"command": "x", "env": {"A B": "x"}}, "name of a variable"),
        ({"command": "x", "env": {"A": "${A-B}"}}, "name of a variable"),
        ({"command": "x", "env": {"A": "${STARPOD_VAULT_KEY}"}}, "not given away"),
        ({"url": "http://x", "headers": {"A": "x\r\nB: y"}}, "one line"),
        ({"url": "http://x", "headers": {"A:": "x"}}, "name of a header"),
        ({"url": "ftp://x"}, "http://"),
        ({"command": "x\0"}, "NUL"),
        ({"command": "x", "timeout_s": 0}, "greater than 0"),
    ],
)
def test_an_mcp_server_that_cannot_be_is_told(server: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Config.model_validate({"mcp": {"servers": {"one": server}}})


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a b", "a" * 33])
def test_an_mcp_server_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValidationError, match="lower-case letters"):
        Config.model_validate({"mcp": {"servers": {name: {"command": "x"}}}})
