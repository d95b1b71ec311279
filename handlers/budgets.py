"""Budgets: users' own limits for admins, and one's own standing for everybody.

The limits that hold for everybody are the settings page `/api/settings/budgets`.
"""

from __future__ import annotations

from handlers.admin_answers import LimitAnswer, OwnLimits
from handlers.admin_schemas import UserBudgetBody
from handlers.base import BaseHandler
from starpod.usage.budget_types import Standing, UserBudget

# Without users, everything is the agent's own.
NOBODY = "admin"


class UserBudgetListHandler(BaseHandler):
    """`GET /api/settings/budgets/users`: everybody who has limits of their own."""

    async def get(self) -> None:
        budgets = await self.state.budgets.user_budgets()
        self.send_json([_limits(user_id, budget) for user_id, budget in sorted(budgets.items())])


class UserBudgetHandler(BaseHandler):
    """`GET` and `PUT /api/settings/budgets/users/:id`."""

    async def get(self, user_id: str) -> None:
        await self.state.auth.get_user(user_id)
        budget = await self.state.budgets.user_budget(user_id)
        standing = await self.state.budgets.standing(user_id)
        self.send_json({**_limits(user_id, budget), "limits": [_shown(each) for each in standing]})

    async def put(self, user_id: str) -> None:
        body = self.read_body(UserBudgetBody)
        await self.state.auth.get_user(user_id)
        by = self.user.id if self.user is not None else None
        budget = UserBudget(body.daily_usd, body.monthly_usd)
        await self.state.budgets.set_user_budget(user_id, budget, by=by, address=self.address)
        self.send_json({"status": "ok"})


class OwnBudgetHandler(BaseHandler):
    """`GET /api/budget`: the limits that hold for the caller, and what is left of them. How much others spent is not theirs to see."""

    async def get(self) -> None:
        user_id = self.user.id if self.user is not None else NOBODY
        standing = await self.state.budgets.standing(user_id)
        is_admin = self.user is None or self.user.role == "admin"
        shown = [_shown(each) for each in standing if is_admin or each.limit.scope == "user"]
        self.send_json({"limits": shown})


def _limits(user_id: str, budget: UserBudget) -> OwnLimits:
    return {"user_id": user_id, "daily_usd": budget.daily_usd, "monthly_usd": budget.monthly_usd}


def _shown(standing: Standing) -> LimitAnswer:
    limit = standing.limit
    return {
        "scope": limit.scope,
        "period": limit.period,
        "limit_usd": limit.usd,
        "spent_usd": standing.spent_usd,
        "reserved_usd": standing.reserved_usd,
        "remaining_usd": max(0.0, limit.usd - standing.spent_usd),
        "starts_at": limit.starts_at,
        "resets_at": limit.resets_at,
    }
