"""The budget routes: limits for everybody, a user's own, and one's own standing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.gateway import Gateway

pytestmark = pytest.mark.gen_test
ALL = "/api/settings/budgets"


async def test_limits_for_everybody_are_a_settings_page(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        shown = (await gateway.http.get(ALL)).json()
        assert shown == dict.fromkeys(shown) and len(shown) == 6
        assert (await gateway.http.get("/api/budget")).json() == {"limits": []}
        assert (await gateway.http.put(ALL, json={"user_daily_usd": 2.5, "total_monthly_usd": 100})).status_code == 200
        assert (await gateway.http.get(ALL)).json() == shown | {"user_daily_usd": 2.5, "total_monthly_usd": 100.0}
        limits = (await gateway.http.get("/api/budget")).json()["limits"]
        assert [(each["scope"], each["period"], each["limit_usd"]) for each in limits] == [
            ("user", "day", 2.5),
            ("total", "month", 100.0),
        ]


async def test_a_user_with_limits_of_their_own(tmp_path: Path) -> None:
    async with Gateway(tmp_path, settings={"budget": {"user_daily_usd": 2, "total_daily_usd": 9}}) as gateway:
        user, key = await gateway.user()
        path = f"{ALL}/users/{user.id}"
        mine = (await gateway.client(key).get("/api/budget")).json()["limits"]
        assert [(each["scope"], each["limit_usd"], each["remaining_usd"]) for each in mine] == [("user", 2.0, 2.0)]
        assert (await gateway.http.put(path, json={"daily_usd": 7, "monthly_usd": 30})).json() == {"status": "ok"}
        shown = (await gateway.http.get(path)).json()
        assert (shown["daily_usd"], shown["monthly_usd"]) == (7.0, 30.0)
        mine = (await gateway.client(key).get("/api/budget")).json()["limits"]
        assert [each["limit_usd"] for each in mine] == [7.0, 30.0]
        listed = (await gateway.http.get(f"{ALL}/users")).json()
        assert listed == [{"user_id": user.id, "daily_usd": 7.0, "monthly_usd": 30.0}]
        await gateway.http.put(path, json={})
        assert (await gateway.http.get(f"{ALL}/users")).json() == []
        audit = (await gateway.http.get("/api/settings/audit")).json()
        assert [event["event_type"] for event in audit].count("budget_changed") == 2
        for method in ("GET", "PUT"):
            assert (await gateway.http.request(method, f"{ALL}/users/nobody", json={})).status_code == 404


@pytest.mark.parametrize("amount", [-1, 1e10, "5", True, [], "NaN"])
async def test_absurd_amounts_are_refused(tmp_path: Path, amount: Any) -> None:
    async with Gateway(tmp_path) as gateway:
        user, _ = await gateway.user()
        answer = await gateway.http.put(ALL, json={"user_daily_usd": amount})
        assert answer.status_code == 422, answer.text
        if amount not in ("5", True):
            answer = await gateway.http.put(f"{ALL}/users/{user.id}", json={"daily_usd": amount})
            assert (answer.status_code, list(answer.json()["fields"])) == (422, ["daily_usd"])


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ALL), ("PUT", ALL), ("GET", f"{ALL}/users"), ("GET", f"{ALL}/users/x"), ("PUT", f"{ALL}/users/x")],
)
async def test_only_admins_set_budgets(tmp_path: Path, method: str, path: str) -> None:
    async with Gateway(tmp_path) as gateway:
        _, key = await gateway.user()
        assert (await gateway.client(key).request(method, path, json={})).status_code == 403
        assert (await gateway.client().request(method, path, json={})).status_code == 401
        assert (await gateway.client().get("/api/budget")).status_code == 401
