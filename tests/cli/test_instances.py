"""`starpod instances` without a gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

from starpod.cli import main


def test_it_says_what_to_do_when_no_gateway_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--dir", str(tmp_path)]) == 0
    assert main(["instances", "list", "--dir", str(tmp_path)]) == 2
    assert "starpod serve" in capsys.readouterr().err
