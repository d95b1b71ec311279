"""What the agent costs: everything for admins, their own for everybody."""

from __future__ import annotations

import csv
import io

from handlers.admin_answers import Costs, Sums
from handlers.base import BaseHandler
from handlers.queries import AllCostsQuery, CostsQuery
from starpod.usage.types import CostOverview, Totals

CSV_COLUMNS = ("kind", "name", "cost_usd", "input_tokens", "output_tokens", "cache_read", "cache_write", "turns")


class CostsHandler(BaseHandler):
    """`GET /api/settings/costs?period=30d&tz=Europe/Berlin&format=csv`: the whole gateway, or with `user_id=` one person."""

    async def get(self) -> None:
        query = self.read_query(AllCostsQuery)
        await self.report(query, query.user_id)

    async def report(self, query: CostsQuery, user_id: str | None) -> None:
        """Answer with what a user cost; None = everybody."""
        overview = await self.state.costs.overview(query.period, query.tz, user_id=user_id)
        if query.format == "json":
            return self.send_json(_body(overview))
        self.set_header("Content-Type", "text/csv; charset=UTF-8")
        self.set_header("Content-Disposition", f'attachment; filename="costs-{overview.period}.csv"')
        self.finish(_table(overview))


class OwnCostsHandler(CostsHandler):
    """`GET /api/costs`: the same for the caller alone; without users, for everybody."""

    async def get(self) -> None:
        await self.report(self.read_query(CostsQuery), self.user.id if self.user is not None else None)


def _body(overview: CostOverview) -> Costs:
    return {
        **_sums(overview.totals),
        "by_user": [{"user_id": name, **_sums(totals)} for name, totals in overview.by_user],
        "by_model": [{"model": name, **_sums(totals)} for name, totals in overview.by_model],
        "by_day": [
            {
                "date": day.date,
                "by_model": [{"model": model, "cost_usd": cost} for model, cost in day.by_model],
                "total_cost_usd": sum(cost for _, cost in day.by_model),
            }
            for day in overview.by_day
        ],
        "by_tool": overview.by_tool,
        "by_session": [
            {"session_id": each.session_id, "user_id": each.user_id, "title": each.title, **_sums(each.totals)}
            for each in overview.by_session
        ],
        "by_job": [{"job_name": name, **_sums(totals)} for name, totals in overview.by_job],
        "period": overview.period,
        "timezone": overview.timezone,
        "previous": None if overview.previous is None else _sums(overview.previous),
    }


def _sums(totals: Totals) -> Sums:
    return {
        "total_cost_usd": totals.total_cost_usd,
        "total_input_tokens": totals.total_input_tokens,
        "total_output_tokens": totals.total_output_tokens,
        "total_cache_read": totals.total_cache_read,
        "total_cache_write": totals.total_cache_write,
        "total_turns": totals.total_turns,
    }


def _table(overview: CostOverview) -> str:
    """One line for the total and for each user, model, day, session and job."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(CSV_COLUMNS)
    lines.writerow(("total", overview.period, *_sums(overview.totals).values()))
    for kind, rows in (("user", overview.by_user), ("model", overview.by_model), ("job", overview.by_job)):
        lines.writerows((kind, _plain(name), *_sums(totals).values()) for name, totals in rows)
    lines.writerows(("session", each.session_id, *_sums(each.totals).values()) for each in overview.by_session)
    lines.writerows(("day", day.date, sum(cost for _, cost in day.by_model)) for day in overview.by_day)
    return text.getvalue()


def _plain(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{name}" if name[:1] in ("=", "+", "-", "@", "\t", "\r") else name
