"""The test of a model's key: one tiny request, and plain words about what is wrong."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Fail, Usage, script

pytestmark = pytest.mark.gen_test
TEST = "/api/settings/models/test"


async def ask(gateway: Gateway, model: str) -> dict[str, Any]:
    answer = await gateway.http.post(TEST, json={"model": model})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_model_that_answers(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("OK", Usage(input=12, output=1)))
        body = await ask(gateway, "local/another")
        assert (body["ok"], body["kind"], body["error"], body["cost_usd"]) == (True, "ok", None, 0.0)
        assert body["latency_ms"] > 0
        request = gateway.provider.requests[0].body
        assert (request["model"], len(request["messages"])) == ("another", 1)
        costs = (await gateway.http.get("/api/settings/costs")).json()
        assert (costs["total_input_tokens"], costs["total_turns"]) == (12, 1)


@pytest.mark.parametrize(
    ("step", "kind", "words"),
    [
        (Fail(401), "authentication", "did not accept the API key"),
        (Fail(404), "invalid", "does not know"),
        (Fail(402), "billing", "no credit"),
        (Fail(429), "rate", "too many requests"),
        (Fail(500), "server", "failed at the provider"),
    ],
)
async def test_what_is_wrong_is_said_in_plain_words(tmp_path: Path, step: Any, kind: str, words: str) -> None:
    async with Gateway(tmp_path, OpenAIServer(), settings={"provider_http": {"max_retries": 5}}) as gateway:
        gateway.provider.play(*[script(step)] * 3)
        body = await ask(gateway, "local/m")
        assert (body["ok"], body["kind"]) == (False, kind)
        assert words in body["error"]
        assert len(gateway.provider.requests) == 1


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = f"127.0.0.1:{taken.getsockname()[1]}"
        providers = {
            "ollama": {"base_url": f"http://{nowhere}"},
            "mine": {"base_url": f"http://{nowhere}/v1"},
            "lost": {"base_url": "http://no-such-host.invalid/v1"},
        }
        async with Gateway(tmp_path, settings={"providers": providers}) as gateway:
            assert "ollama serve" in (await ask(gateway, "ollama/qwen"))["error"]
            assert "Nothing listens" in (await ask(gateway, "mine/m"))["error"]
            assert (await ask(gateway, "lost/m"))["kind"] in ("unreachable", "connection")


async def test_a_server_whose_certificate_nobody_trusts(tmp_path: Path) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=self_signed(tmp_path)
    )
    port = server.sockets[0].getsockname()[1]
    providers = {"mine": {"base_url": f"https://127.0.0.1:{port}/v1"}}
    async with server, Gateway(tmp_path, settings={"providers": providers}) as gateway:
        body = await ask(gateway, "mine/m")
        assert (body["ok"], body["kind"]) == (False, "tls")
        assert "certificate" in body["error"]


def self_signed(folder: Path) -> ssl.SSLContext:
    """The server's side of TLS with a certificate of its own making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1)
    )
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    pem += key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


async def test_a_key_that_is_missing_and_names_that_are_none(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        body = await ask(gateway, "openai/gpt-4o")
        assert (body["ok"], body["kind"]) == (False, "no_key")
        assert "OPENAI_API_KEY" in body["error"]
        assert (await ask(gateway, "nobody/m"))["kind"] == "invalid"
        for model in ("", "x", "/x", "x/"):
            assert (await gateway.http.post(TEST, json={"model": model})).status_code == 422
        assert (await ask(gateway, "offline/assistant"))["ok"]
        _, key = await gateway.user()
        assert (await gateway.client(key).post(TEST, json={"model": "a/b"})).status_code == 403
        assert (await gateway.client().post(TEST, json={"model": "a/b"})).status_code == 401
