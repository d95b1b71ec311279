"""The files for operators: they parse, say what they must, and no agent is made with them."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from starpod.cli import main
from starpod.config.schema import Config
from starpod.paths import shipped

CONF = shipped("conf")
FOLDERS = ("docker", "systemd", "caddy", "nginx")
INSTRUCTIONS = {
    "FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD",
}  # fmt: skip


def dockerfile() -> list[tuple[str, str]]:
    """Its instructions in order."""
    text = (CONF / "docker" / "Dockerfile").read_text()
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def unit() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=True, delimiters=("=",), comment_prefixes=("#",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(CONF / "systemd" / "starpod.service")
    return parser


def balanced(text: str) -> bool:
    """Whether every brace is closed, outside of comments and quotes."""
    bare = re.sub(r"'[^']*'|#[^\n]*", "", text)
    return bare.count("{") == bare.count("}") > 0


def test_the_image_is_built_in_stages_and_runs_as_nobody_special() -> None:
    found = dockerfile()
    assert {name for name, _ in found} <= INSTRUCTIONS
    last = len(found) - 1 - [name for name, _ in reversed(found)].index("FROM")
    assert [name for name, _ in found].count("FROM") == 2
    final = found[last:]
    assert [rest for name, rest in final if name == "USER"] == ["10001:10001"]
    assert any("--from=build" in rest for name, rest in final if name == "COPY")
    assert all(":" in rest and ":latest" not in rest for name, rest in found if name == "FROM")
    assert all("rm -rf /var/lib/apt/lists" in rest for name, rest in found if "apt-get install" in rest)
    (check,) = [rest for name, rest in final if name == "HEALTHCHECK"]
    assert "/api/health/ready" in check
    assert not any(re.search(r"(?i)key|token|secret|password", rest) for name, rest in found if name in ("ENV", "ARG"))


def test_the_composition_keeps_the_data_and_publishes_to_this_machine_only() -> None:
    (service,) = yaml.safe_load((CONF / "docker" / "compose.yaml").read_text())["services"].values()
    assert service["build"]["dockerfile"] == "conf/docker/Dockerfile"
    assert (CONF / "docker" / service["build"]["context"] / "conf" / "docker" / "Dockerfile").is_file()
    assert service["volumes"] == ["data:/data"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert int(service["stop_grace_period"].removesuffix("s")) > Config().shutdown_grace_s


def test_the_unit_waits_for_readiness_and_leaves_instances_running() -> None:
    service = unit()["Service"]
    assert service["Type"] == "notify"
    assert service["KillMode"] == "process"
    assert float(service["TimeoutStopSec"]) > Config().shutdown_grace_s
    assert int(service["WatchdogSec"]) >= 10
    for setting in ("NoNewPrivileges", "PrivateTmp", "ProtectHome", "RestrictSUIDSGID", "LockPersonality"):
        assert service[setting] == "true"
    assert (service["ProtectSystem"], service["StateDirectoryMode"]) == ("strict", "0700")


@pytest.mark.parametrize("name", ["caddy/Caddyfile", "nginx/starpod.conf"])
def test_a_proxy_lets_answers_stream(name: str) -> None:
    text = (CONF / name).read_text()
    assert balanced(text)
    assert "127.0.0.1:3000" in text
    assert "flush_interval -1" in text or ("proxy_buffering off" in text and "Upgrade $http_upgrade" in text)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    text = (CONF / "systemd" / "starpod.service").read_text()
    copy = tmp_path / "starpod.service"
    copy.write_text(text.replace("/opt/starpod/bin/starpod", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    assert "starpod.service" not in done.stderr, done.stderr


@pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx here")
def test_nginx_takes_the_site(tmp_path: Path) -> None:
    text = (CONF / "nginx" / "starpod.conf").read_text()
    plain = re.sub(r"\s+ssl_certificate.*", "", text).replace("443 ssl", "18443")
    whole = tmp_path / "nginx.conf"
    whole.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{plain}\n}}\n")
    done = subprocess.run(["nginx", "-t", "-c", str(whole)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("caddy") is None, reason="there is no Caddy here")
def test_caddy_takes_its_file() -> None:
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(CONF / "caddy" / "Caddyfile")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_no_agent_is_made_with_them(tmp_path: Path) -> None:
    assert all((CONF / name).is_dir() for name in FOLDERS)
    assert main(["init", "--dir", str(tmp_path)]) == 0
    made = {path.name for path in tmp_path.rglob("*")}
    assert not made & {*FOLDERS, "Dockerfile", "compose.yaml", "starpod.service", "Caddyfile", "starpod.conf"}
