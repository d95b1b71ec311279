"""Asks the gateway's own address, the model providers and Telegram whether they answer. Blocks, at most a few seconds for each."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from starpod.agent.provider_clients import normalised_base_url
from starpod.agent.registry import Registry
from starpod.config.providers import OFFLINE_MODEL, key_variable
from starpod.config.schema import Config
from starpod.config.types import split_address
from starpod.doctor.types import Case, Check

if TYPE_CHECKING:
    import httpx2

TIMEOUT_S = 5.0
SKEW_S = 60.0
LISTS = {
    "anthropic": "https://api.anthropic.com/v1/models",
    "openai": "https://api.openai.com/v1/models",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/models",
    "groq": "https://api.groq.com/openai/v1/models",
    "deepseek": "https://api.deepseek.com/models",
    "openrouter": "https://openrouter.ai/api/v1/key",
    "ollama": "http://localhost:11434/v1/models",
}
"""What tells for nothing whether a key is good."""
CLOUDS = ("bedrock", "vertex")


def check_port(case: Case, config: Config) -> Check:
    """Whether the gateway answers where it says it listens, or could listen there."""
    host, port = split_address(config.server_addr)
    if case.address == "":
        return Check("port", "ok", "the gateway is starting")
    if case.address is not None:
        import httpx2

        try:
            answer = httpx2.get(f"{case.address}/api/health", timeout=TIMEOUT_S, trust_env=False)
            is_ours = answer.status_code == 200 and answer.json().get("status") == "ok"
        except (httpx2.HTTPError, ValueError):
            is_ours = False
        if is_ours:
            return Check("port", "ok", f"the gateway answers at {case.address}")
        return Check(
            "port", "fail", f"the gateway runs but does not answer at {case.address}",
            "Read its log, then start it again.", finding="port_silent",
        )  # fmt: skip
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return Check(
            "port", "fail", f"{config.server_addr} cannot be listened on: {os.strerror(error.errno or 0)}",
            "Stop what uses it, or give server_addr in agent.toml another address.", f"ss -ltnp 'sport = :{port}'",
            "port_taken",
        )  # fmt: skip
    return Check("port", "ok", f"no gateway runs; {config.server_addr} is free")


def check_providers(case: Case, config: Config, registry: Registry, *, ask: bool) -> Iterator[Check]:
    """Keys and addresses of the models in the list, each provider once."""
    providers = list(dict.fromkeys(spec.partition("/")[0] for spec in config.models))
    for number, provider in enumerate(providers):
        check = _provider(case, config, registry, provider, ask=ask)
        # A stand-in that fails leaves the default working.
        state = "warn" if check.state == "fail" and number else check.state
        yield replace(check, state=state)


def check_telegram(case: Case, config: Config, *, ask: bool) -> Check:
    """Whether the bot's token works."""
    if not config.channels.telegram.enabled:
        return Check("telegram", "ok", "off")
    token = case.secrets.get("TELEGRAM_BOT_TOKEN", "").strip()
    if not token:
        return Check(
            "telegram", "fail", "the channel is on, and there is no TELEGRAM_BOT_TOKEN", "Give it the bot's token.",
            "starpod vault set TELEGRAM_BOT_TOKEN", "telegram_no_token",
        )  # fmt: skip
    if not ask:
        return Check("telegram", "ok", "there is a token; it was not tried")
    import httpx2

    url = f"{config.channels.telegram.api_url.rstrip('/')}/bot{token}/getMe"
    try:
        answer = httpx2.get(url, timeout=TIMEOUT_S)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
        # The error's text holds the address, and with it the token.
        return Check(
            "telegram", "fail", "the Bot API cannot be reached", "Check api_url under [channels.telegram] and the network.",
            finding="telegram_unreachable",
        )  # fmt: skip
    if answer.status_code in (401, 404):
        return Check(
            "telegram", "fail", "Telegram refuses the token", "Get a new one from @BotFather.",
            "starpod vault set TELEGRAM_BOT_TOKEN", "telegram_refused",
        )  # fmt: skip
    if answer.status_code != 200:
        found = f"the Bot API answers with status {answer.status_code}"
        return Check("telegram", "warn", found, "Try again later.", finding="telegram_failing")
    return Check("telegram", "ok", "the bot's token works")


def _provider(case: Case, config: Config, registry: Registry, provider: str, *, ask: bool) -> Check:
    name = f"model {provider}"
    if provider == OFFLINE_MODEL.partition("/")[0]:
        return Check(name, "ok", "built in")
    settings = config.providers.get(provider)
    if settings is not None and not settings.enabled:
        fix = f"Set enabled = true in [providers.{provider}] of agent.toml."
        return Check(name, "fail", "it is switched off", fix, finding="model_off")
    base_url = normalised_base_url(provider, settings.base_url if settings is not None else None)
    variable = registry.api_key_env(provider) or key_variable(provider)
    key = case.secrets.get(variable, "").strip()
    if provider in CLOUDS:
        return Check(name, "ok", "not tried: POST /api/settings/models/test asks it")
    if not key and base_url is None and provider != "ollama":
        return Check(
            name, "fail", f"there is no key: {variable} is neither in the vault nor in the environment",
            "Give it one.", f"starpod vault set {variable}", "model_no_key",
        )  # fmt: skip
    if not ask:
        return Check(name, "ok", "there is a key; it was not tried")
    return _ask(name, provider, _list_address(provider, base_url), key, variable, case.now)


def _list_address(provider: str, base_url: str | None) -> str:
    if base_url is None:
        return LISTS.get(provider, "")
    return base_url + {"anthropic": "/v1/models", "gemini": "/v1beta/models"}.get(provider, "/models")


def _ask(name: str, provider: str, url: str, key: str, variable: str, now: float) -> Check:
    import httpx2

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    if provider == "anthropic":
        headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    elif provider == "gemini":
        headers = {"x-goog-api-key": key}
    try:
        answer = httpx2.get(url, headers=headers, timeout=TIMEOUT_S)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
        return Check(
            name, "fail", "its address cannot be reached",
            f"Check the network, the proxy variables, and base_url in [providers.{provider}].", finding="model_unreachable",
        )  # fmt: skip
    if answer.status_code in (401, 403):
        return Check(
            name, "fail", f"it refuses the key in {variable}", "Give it another.", f"starpod vault set {variable}",
            "model_refused",
        )  # fmt: skip
    if answer.status_code == 429 or answer.status_code >= 500:
        found = f"it answers with status {answer.status_code}"
        return Check(name, "warn", found, "Try again later.", finding="model_failing")
    if (skew_s := _skew(answer, now)) is not None and abs(skew_s) > SKEW_S:
        return Check(
            name, "warn", f"its clock differs from this machine's by {abs(skew_s):.0f} s",
            "Set the machine's clock, best by NTP.", "sudo timedatectl set-ntp true", "clock_differs",
        )  # fmt: skip
    return Check(name, "ok", "it answers" if answer.status_code != 200 else "it answers and takes the key")


def _skew(answer: httpx2.Response, now: float) -> float | None:
    with contextlib.suppress(ValueError, TypeError):
        return parsedate_to_datetime(answer.headers["Date"]).timestamp() - now if "Date" in answer.headers else None
    return None
