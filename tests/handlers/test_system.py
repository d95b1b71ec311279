"""Which version runs, and that it does not replace itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from starpod import __version__
from tests.gateway import Gateway


@pytest.mark.gen_test
async def test_the_version_is_told_and_an_update_says_how(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        version = (await gateway.http.get("/api/system/version")).json()
        assert version.keys() == {
            "current", "latest", "update_available", "release_notes_url", "published_at", "platform",
        }  # fmt: skip
        assert (version["current"], version["latest"], version["update_available"]) == (__version__, None, False)
        answer = await gateway.http.post("/api/system/update")
        assert answer.status_code == 501
        assert "pip install --upgrade starpod" in answer.json()["error"]
