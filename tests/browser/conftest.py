"""Without Chromium these tests are left out, unless they are required."""

from __future__ import annotations

import pytest

from tests.browser import chromium


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if chromium.find() is None and not chromium.REQUIRED:
        for item in items:
            if "tests/browser/" in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed"))
