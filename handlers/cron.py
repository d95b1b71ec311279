"""Jobs: what the agent does by itself, when, and how it went."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from handlers.base import BaseHandler
from handlers.queries import JobRunsQuery
from handlers.schemas import JobBody, JobChangeBody, PreviewBody
from starpod.cron.service import NewJob
from starpod.cron.types import Job
from starpod.tools.cron import schedule_json, to_schedule


class JobListHandler(BaseHandler):
    """`GET` and `POST /api/cron/jobs`."""

    async def get(self) -> None:
        jobs = await self.state.jobs.list_jobs(self.viewer)
        ahead = await self.state.jobs.next_runs(jobs)
        self.send_json([_job_json(job, runs) for job, runs in zip(jobs, ahead, strict=True)])

    async def post(self) -> None:
        body = self.read_body(JobBody)
        fields = {name: getattr(body, name) for name in JobBody.model_fields if name != "schedule"}
        job = await self.state.jobs.create(self.viewer, NewJob(schedule=to_schedule(body.schedule), **fields))
        await _answer(self, job, 201)


class JobHandler(BaseHandler):
    """`GET`, `PUT` and `DELETE /api/cron/jobs/:id`."""

    async def get(self, job_id: str) -> None:
        await _answer(self, await self.state.jobs.get(self.viewer, job_id))

    async def put(self, job_id: str) -> None:
        body = self.read_body(JobChangeBody)
        changes: dict[str, Any] = {
            name: value
            for name in JobChangeBody.model_fields
            if name != "schedule" and (value := getattr(body, name)) is not None
        }
        if body.schedule is not None:
            changes["schedule"] = to_schedule(body.schedule)
        for name in ("timezone", "model"):
            if changes.get(name) == "":
                changes[name] = None
        await _answer(self, await self.state.jobs.update(self.viewer, job_id, changes))

    async def delete(self, job_id: str) -> None:
        await self.state.jobs.delete(self.viewer, job_id)
        self.set_status(204)


class JobRunHandler(BaseHandler):
    """`POST /api/cron/jobs/:id/run`: start it now; the answer does not wait for the end."""

    async def post(self, job_id: str) -> None:
        self.send_json({"status": "started", "run_id": await self.state.jobs.run_now(self.viewer, job_id)}, 202)


class JobSwitchHandler(BaseHandler):
    """`POST /api/cron/jobs/:id/pause` and `/resume`."""

    async def post(self, job_id: str, verb: Literal["pause", "resume"]) -> None:
        await _answer(self, await self.state.jobs.update(self.viewer, job_id, {"enabled": verb == "resume"}))


class JobHistoryHandler(BaseHandler):
    """`GET /api/cron/jobs/:id/runs?limit=50`: the newest first."""

    async def get(self, job_id: str) -> None:
        limit = self.read_query(JobRunsQuery).limit
        self.send_json(await self.state.jobs.runs(self.viewer, job_id, limit=limit))


class PreviewHandler(BaseHandler):
    """`POST /api/cron/preview`: when a schedule would be due."""

    async def post(self) -> None:
        body = self.read_body(PreviewBody)
        runs = await self.state.jobs.preview(to_schedule(body.schedule), body.timezone, count=body.count)
        self.send_json({"next_runs": runs, "timezone": body.timezone or self.state.jobs.zone})


async def _answer(handler: BaseHandler, job: Job, status: int = 200) -> None:
    [ahead] = await handler.state.jobs.next_runs([job])
    handler.send_json(_job_json(job, ahead), status)


def _job_json(job: Job, ahead: list[int]) -> dict[str, Any]:
    return asdict(job) | {"schedule": schedule_json(job.schedule), "next_runs": ahead}
