"""Routes about the gateway itself: is it up, who am I, what does it run."""

from __future__ import annotations

from handlers.admin_answers import DoctorReport, InstanceAnswer, InstanceHealth, InstanceStatus
from handlers.admin_schemas import InstanceBody
from handlers.answers import (
    Done,
    Error,
    FrameAnswer,
    Health,
    LoggedIn,
    NewApiKey,
    Ok,
    PublicConfig,
    Readiness,
    Verified,
    Version,
)
from handlers.auth import LoginHandler, LogoutHandler, VerifyHandler
from handlers.doctor import DoctorHandler
from handlers.documents import AsyncApiHandler, OpenApiHandler
from handlers.frames import FrameCheckHandler
from handlers.health import ConfigHandler, HealthHandler, ReadyHandler
from handlers.instances import (
    InstanceActionHandler,
    InstanceHandler,
    InstanceHealthHandler,
    InstanceHistoryHandler,
    InstanceListHandler,
    InstanceLogsHandler,
)
from handlers.logs import LogHandler
from handlers.operations import Delete, Get, Post, Route
from handlers.queries import DoctorQuery, FrameQuery, InstanceLogsQuery, LogQuery
from handlers.schemas import KeyBody, LoginBody, RotateBody
from handlers.system import UpdateHandler, VersionHandler
from handlers.users import OwnKeyEndHandler, OwnKeyListHandler, OwnKeyRotateHandler
from starpod.auth.types import ApiKey
from starpod.instances.types import HealthPoint
from starpod.telemetry.recent import LogLine

GATEWAY = (
    Route("/api/health", HealthHandler, "anyone", Get("The process answers", Health)),
    Route(
        "/api/health/ready",
        ReadyHandler,
        "anyone",
        Get("Whether requests will be answered", Readiness, also={503: Readiness}),
    ),
    Route(
        "/api/config", ConfigHandler, "anyone", Get("What the page shows before anybody has signed in", PublicConfig)
    ),
    Route(
        "/api/doctor",
        DoctorHandler,
        "admin",
        Get("What is wrong with the agent, and how to mend it", DoctorReport, query=DoctorQuery),
    ),
    Route(
        "/api/logs",
        LogHandler,
        "admin",
        Get(
            "The newest lines of the gateway's log",
            list[LogLine],
            query=LogQuery,
            about="Some 2,000 lines are kept in memory, without keys; a restart forgets them.",
        ),
    ),
    Route("/api/openapi.json", OpenApiHandler, "anyone", Get("This description of the HTTP API", dict)),
    Route("/api/asyncapi.json", AsyncApiHandler, "anyone", Get("The description of `/ws` and of event streams", dict)),
    Route(
        "/api/frame-check",
        FrameCheckHandler,
        "user",
        Get("Whether a page can be shown in a frame", FrameAnswer, query=FrameQuery),
    ),
    Route("/api/system/version", VersionHandler, "admin", Get("Which version runs here, on what", Version)),
    Route(
        "/api/system/update",
        UpdateHandler,
        "admin",
        Post("Always refused, with how to update instead", Error, status=501),
    ),
)

SIGN_IN = (
    Route("/api/auth/verify", VerifyHandler, "anyone", Get("Who the key or cookie belongs to", Verified)),
    Route(
        "/api/auth/login",
        LoginHandler,
        "anyone",
        Post(
            "Trade a key, or the code of a sign-in link, for a cookie",
            LoggedIn,
            body=LoginBody,
            errors=(401, 429),
        ),
    ),
    Route("/api/auth/logout", LogoutHandler, "anyone", Post("End the browser's session", Ok)),
    Route(
        "/api/keys",
        OwnKeyListHandler,
        "user",
        Get("One's own keys", list[ApiKey], errors=(409,)),
        Post("A new key of one's own", NewApiKey, body=KeyBody, status=201, errors=(409,)),
    ),
    Route("/api/keys/{key_id}/revoke", OwnKeyEndHandler, "user", Post("End a key of one's own", Done, errors=(409,))),
    Route(
        "/api/keys/{key_id}/rotate",
        OwnKeyRotateHandler,
        "user",
        Post("A new key instead of an old one of one's own", NewApiKey, body=RotateBody, status=201, errors=(409,)),
    ),
)

# 503 while no backend is configured.
BACKEND = (409, 502, 503, 504)

INSTANCES = (
    Route(
        "/api/instances",
        InstanceListHandler,
        "admin",
        Get("All instances", list[InstanceAnswer], errors=BACKEND[1:]),
        Post("A new instance", InstanceAnswer, body=InstanceBody, status=201, errors=BACKEND),
    ),
    Route(
        "/api/instances/{instance_id}",
        InstanceHandler,
        "admin",
        Get("One instance", InstanceAnswer, errors=BACKEND),
        Delete("End an instance and remove its data", status=204, errors=BACKEND),
    ),
    Route(
        "/api/instances/{instance_id}/{action:pause|start|restart}",
        InstanceActionHandler,
        "admin",
        Post("Pause, start or restart an instance", InstanceStatus, errors=BACKEND),
    ),
    Route(
        "/api/instances/{instance_id}/health",
        InstanceHealthHandler,
        "admin",
        Get("How an instance is", InstanceHealth, errors=BACKEND),
    ),
    Route(
        "/api/instances/{instance_id}/history",
        InstanceHistoryHandler,
        "admin",
        Get("How an instance was, for a graph", list[HealthPoint], errors=BACKEND),
    ),
    Route(
        "/api/instances/{instance_id}/logs",
        InstanceLogsHandler,
        "admin",
        Get(
            "An instance's log, a JSON object a line",
            query=InstanceLogsQuery,
            media=("application/x-ndjson",),
            errors=BACKEND,
        ),
    ),
)
