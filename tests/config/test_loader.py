"""Reading settings: what is wrong is told in one line with file, line, key and cure; secrets are never repeated."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from starpod.config.loader import Frontend, LoadedConfig, diff_keys, load_config, load_frontend
from starpod.config.problems import ConfigError
from starpod.config.schema import Config
from starpod.paths import Paths

Load = Callable[[str], LoadedConfig]

NOBODY = 65534


def complaint(load: Load, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(text)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_empty_file_gives_the_defaults(load: Load) -> None:
    loaded = load("")
    assert loaded.config == Config()
    assert loaded.warnings == ()


def test_a_byte_order_mark_is_no_error(load: Load) -> None:
    assert load("\ufeffmax_turns = 7\n").config.max_turns == 7


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('agent_name = "Nova"\nmax_turns = \n', ["line 2", "max_turns", "not TOML"]),
        ('agent_name = "Nova\nmax_turns = 3\n', ["line 1", "agent_name", "close the text with a quote"]),
        ("max_turns = 3\nmodels = [\n", ["line 2", "not TOML"]),
        ("[auth\ncookie_days = 3\n", ["line 1", "not TOML"]),
        ("timezone = Europe/Berlin\n", ["line 1", "timezone", "double quotes"]),
        ("max_turns = 1\nmax_turns = 2\n", ["line 2", "max_turns", "twice"]),
        ("[auth]\n[auth]\n", ["line 2", "twice"]),
        ("max_turns\n", ["line 1", "key = value"]),
        ("agent_name = 'Nova\n", ["line 1", "agent_name", "close the text"]),
        ('server_addr = "::1"\x07', ["line 1", "server_addr", "not TOML"]),
    ],
)
def test_half_written_toml_is_told_with_its_line(load: Load, text: str, parts: list[str]) -> None:
    message = complaint(load, text)
    assert message.startswith("config/agent.toml, line")
    assert [part for part in parts if part not in message] == []


@pytest.mark.parametrize(
    ("text", "line", "key", "cure"),
    [
        ('max_turns = "many"', 1, "max_turns", "whole number"),
        ("max_turns = true", 1, "max_turns", "whole number"),
        ("max_turns = 1.5", 1, "max_turns", "whole number"),
        ("max_turns = 0", 1, "max_turns", "must be > 0"),
        ("max_turns = 99999999999999999999999999", 1, "max_turns", "or less"),
        ("agent_name = 3", 1, "agent_name", "double quotes"),
        ('agent_name = ""', 1, "agent_name", "empty"),
        ("models = []", 1, "models", "empty"),
        ('models = "openai/gpt-4o"', 1, "models", "list"),
        ('models = [\n  "openai/gpt-4o",\n  "gpt-4o",\n]', 3, "models[1]", "expected 'provider/model'"),
        ('models = ["acme/x"]', 1, "models", "unknown provider"),
        ('model = 3\nprovider = "openai"', 1, "models[0]", "double quotes"),
        ('server_addr = "3000"', 1, "server_addr", "host:port"),
        ('timezone = "Mars/Olympus"', 1, "timezone", "IANA"),
        ('timezone = "../../etc/passwd"', 1, "timezone", "IANA"),
        ('followup_mode = "later"', 1, "followup_mode", "'inject' or 'queue'"),
        ('reasoning_effort = "extreme"', 1, "reasoning_effort", "'low', 'medium' or 'high'"),
        ("shutdown_grace_s = -1", 1, "shutdown_grace_s", "0 or more"),
        ("shutdown_grace_s = inf", 1, "shutdown_grace_s", "or"),
        ("auth = 3", 1, "auth", "[auth]"),
        ("\n[auth]\nrate_limit_requests = -1", 3, "auth.rate_limit_requests", "0 or more"),
        ('[auth]\nallowed_origins = ["chat.example.org"]', 2, "auth.allowed_origins[0]", "https://"),
        ('[auth]\ntrusted_proxies = ["my-proxy"]', 2, "auth.trusted_proxies[0]", "network"),
        ('[auth]\nallowed_hosts = ["http://x/"]', 2, "auth.allowed_hosts[0]", "host name"),
        ('[tools]\nshell = "yes"', 2, "tools.shell", "true or false"),
        ("[turns]\nmax_parallel = 0", 2, "turns.max_parallel", "> 0"),
        ("[websocket]\noutbox_bytes = 1", 2, "websocket.outbox_bytes", "1024 or more"),
        ("[provider_http]\ntimeout_secs = nan", 2, "provider_http.timeout_secs", "number"),
        ('[compaction]\nflush_model = "x"', 2, "compaction.flush_model", "provider/model"),
        ("[compaction]\nprune_threshold_pct = 101", 2, "compaction.prune_threshold_pct", "100 or less"),
        ("[memory]\nhalf_life_days = 0", 2, "memory.half_life_days", "> 0"),
        ("[memory]\nmmr_lambda = 1.1", 2, "memory.mmr_lambda", "1 or less"),
        ("[memory]\nchunk_size = 100\nchunk_overlap = 100", 3, "memory.chunk_overlap", "less than chunk_size"),
        ("[memory]\nchunk_size = 100", 1, "memory.chunk_overlap", "less than chunk_size"),
        ("[cron]\nheartbeat_interval_minutes = 0", 2, "cron.heartbeat_interval_minutes", "> 0"),
        ("[attachments]\nallowed_extensions = [1]", 2, "attachments.allowed_extensions[0]", "double quotes"),
        ('[internet]\nenabled = "on"', 2, "internet.enabled", "true or false"),
        ("[browser]\ncdp_url = 3", 2, "browser.cdp_url", "double quotes"),
        ('[channels.telegram]\ngap_minutes = "6h"', 2, "channels.telegram.gap_minutes", "whole number"),
        ("[channels]\ntelegram = true", 2, "channels.telegram", "[channels.telegram]"),
        ("[proxy]\nenabled = 1", 2, "proxy.enabled", "true or false"),
        ("providers = []", 1, "providers", "table"),
        ('[providers.openai]\nbase_url = "api.openai.com"', 2, "providers.openai.base_url", "https://"),
        ("providers.openai.models = 3", 1, "providers.openai.models", "list"),
    ],
)
def test_a_wrong_value_is_told_with_line_key_and_cure(load: Load, text: str, line: int, key: str, cure: str) -> None:
    message = complaint(load, text)
    assert message.startswith(f"config/agent.toml, line {line}: {key}: ")
    assert cure in message


def test_several_wrong_values_are_told_at_once_the_first_in_full(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load('[cron]\nmax_concurrent_runs = "x"\n[auth]\ncookie_days = 0\n')
    assert "line 2: cron.max_concurrent_runs" in str(caught.value)
    assert "(and 1 more: auth.cookie_days)" in str(caught.value)
    assert set(caught.value.fields) == {"cron.max_concurrent_runs", "auth.cookie_days"}


def test_control_characters_cannot_break_the_line(load: Load) -> None:
    assert "\x1b" not in complaint(load, 'models = ["a\\u001b[31m\\nb"]')


def test_deep_nesting_is_told(load: Load) -> None:
    assert "nested too deeply" in complaint(load, "skills = " + "[" * 50_000)


def test_unknown_keys_are_warned_of_and_ignored(load: Load) -> None:
    loaded = load("max_turn = 3\n\n[memory]\nhalf_live = 2\n[nonsense]\na = 1\n[providers.openai]\nurl = 3\n")
    assert loaded.config == Config()
    assert [warning.split(": unknown")[0] for warning in loaded.warnings] == [
        "config/agent.toml, line 1: max_turn",
        "config/agent.toml, line 4: memory.half_live",
        "config/agent.toml, line 5: nonsense",
        "config/agent.toml, line 8: providers.openai.url",
    ]


def test_secrets_in_the_file_are_ignored_and_never_repeated(load: Load) -> None:
    loaded = load(
        '[providers.openai]\napi_key = "sk-very-secret"\n[channels.telegram]\nbot_token = "123:very-secret"\n'
    )
    told = " ".join(loaded.warnings)
    assert "line 2: providers.openai.api_key" in told
    assert "OPENAI_API_KEY" in told
    assert "line 4: channels.telegram.bot_token" in told
    assert "TELEGRAM_BOT_TOKEN" in told
    assert "very-secret" not in told + repr(loaded)


def test_older_keys_and_a_newer_layout_are_warned_of(load: Load) -> None:
    loaded = load('provider = "openai"\nmodel = "gpt-4o"\nconfig_version = 2\n')
    assert [warning.split(": ")[1] for warning in loaded.warnings] == ["model", "provider", "config_version"]


def test_a_missing_file_says_how_to_make_one(paths: Paths) -> None:
    with pytest.raises(ConfigError, match=r"config/agent\.toml: the file is missing.*starpod init"):
        load_config(paths, {})


def test_a_folder_in_place_of_the_file(paths: Paths) -> None:
    paths.agent_toml.mkdir()
    with pytest.raises(ConfigError, match=r"config/agent\.toml: there is a folder in its place"):
        load_config(paths, {})


def test_a_pipe_in_place_of_the_file_does_not_hang(paths: Paths) -> None:
    os.mkfifo(paths.agent_toml)
    with pytest.raises(ConfigError, match="not an ordinary file"):
        load_config(paths, {})


def test_an_unreadable_file(paths: Paths) -> None:
    paths.agent_toml.touch(mode=0)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)  # root reads everything
    try:
        with pytest.raises(ConfigError, match="no permission to read it"):
            load_config(paths, {})
    finally:
        if is_root:
            os.seteuid(0)


def test_a_link_to_itself_cannot_be_read(paths: Paths) -> None:
    paths.agent_toml.symlink_to(paths.agent_toml)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(paths, {})


def test_text_that_is_not_utf_8_is_told_with_its_line(paths: Paths) -> None:
    paths.agent_toml.write_bytes(b'max_turns = 3\nagent_name = "Ren\xe9"\n')
    with pytest.raises(ConfigError, match=r"config/agent\.toml, line 2: this is not UTF-8"):
        load_config(paths, {})


def test_a_huge_file_is_refused(paths: Paths) -> None:
    paths.agent_toml.write_bytes(b"#" * 2_000_000)
    with pytest.raises(ConfigError, match="larger than"):
        load_config(paths, {})


def test_the_env_file_overrides_the_environment_and_changes_nothing_else(paths: Paths) -> None:
    paths.agent_toml.touch()
    paths.env_file.write_text('# keys\nexport OPENAI_API_KEY="from file"\nEMPTY=\nNAME_ONLY\n')
    given = {"OPENAI_API_KEY": "from process", "HOME": "/h"}
    loaded = load_config(paths, given)
    assert loaded.environ == {"OPENAI_API_KEY": "from file", "HOME": "/h", "EMPTY": ""}
    assert given["OPENAI_API_KEY"] == "from process"
    assert "from file" not in repr(loaded)
    assert os.environ.get("OPENAI_API_KEY") != "from file"


def test_a_line_of_the_env_file_that_cannot_be_read_is_warned_of_without_its_text(paths: Paths) -> None:
    paths.agent_toml.touch()
    paths.env_file.write_text('A=1\nB="sk-never-closed\n')
    loaded = load_config(paths, {})
    assert loaded.environ == {"A": "1"}
    assert [".env, line 2" in warning and "never-closed" not in warning for warning in loaded.warnings] == [True]


def test_an_unusable_env_file_is_told(paths: Paths) -> None:
    paths.agent_toml.touch()
    paths.env_file.mkdir()
    with pytest.raises(ConfigError, match=r"^\.env: there is a folder in its place"):
        load_config(paths, {})


def test_the_digest_tells_whether_anything_changed(load: Load, paths: Paths) -> None:
    first = load("max_turns = 3\n")
    assert load("max_turns = 3\n").text_digest == first.text_digest
    assert load("max_turns = 4\n").text_digest != first.text_digest
    paths.env_file.write_text("A=1\n")
    assert load("max_turns = 3\n").text_digest != first.text_digest


def test_changed_keys_are_dotted(load: Load) -> None:
    old = load("").config
    new = load(
        'models = ["offline/assistant"]\n[auth]\ncookie_days = 1\n[providers.x]\nbase_url = "http://h/"\n'
    ).config
    assert diff_keys(old, new) == ("models", "auth.cookie_days", "providers.x")
    assert diff_keys(new, new) == ()


def test_the_greeting_and_prompts_are_read(paths: Paths) -> None:
    (paths.config_dir / "frontend.toml").write_text('greeting = "Hi"\nprompts = ["a", "b"]\n')
    assert load_frontend(paths) == Frontend("Hi", ("a", "b"))


def test_a_missing_frontend_file_gives_the_defaults(paths: Paths) -> None:
    assert load_frontend(paths) == Frontend(None, (), None)


@pytest.mark.parametrize(
    ("text", "told"),
    [("greeting = ", "line 1"), ("\nprompts = 3", "line 2: prompts"), ('prompts = ["a", 1]', "prompts[1]")],
)
def test_a_malformed_frontend_file_gives_the_defaults_and_a_warning(paths: Paths, text: str, told: str) -> None:
    (paths.config_dir / "frontend.toml").write_text(text)
    frontend = load_frontend(paths)
    assert (frontend.greeting, frontend.prompts) == (None, ())
    assert frontend.warning is not None
    assert told in frontend.warning
