"""Routes of what the agent does and knows: jobs, news, memory, skills, and what it costs."""

from __future__ import annotations

from handlers.admin_answers import Costs, Limits, SkillName
from handlers.answers import (
    DeliveryPage,
    Done,
    JobAnswer,
    JobStarted,
    MemoryIndexed,
    MemoryVersion,
    MemoryWritten,
    NotificationPage,
    Ok,
    Preview,
    Unread,
)
from handlers.budgets import OwnBudgetHandler
from handlers.costs import OwnCostsHandler
from handlers.cron import (
    JobHandler,
    JobHistoryHandler,
    JobListHandler,
    JobRunHandler,
    JobSwitchHandler,
    PreviewHandler,
)
from handlers.deliveries import DeliveryHandler, DeliveryListHandler, DeliveryRetryHandler
from handlers.files import (
    FileFolderHandler,
    FileInfoHandler,
    FileListHandler,
    FileRawHandler,
    FileTextHandler,
    FileWriteHandler,
    MoveHandler,
)
from handlers.memory import MemoryReindexHandler, MemorySearchHandler
from handlers.memory_files import MemoryFilesHandler, MemoryHistoryHandler, MemoryRevertHandler
from handlers.notifications import NotificationListHandler, NotificationReadHandler
from handlers.operations import Delete, Get, Post, Put, Route
from handlers.queries import (
    CostsQuery,
    DeliveryListQuery,
    FilePathQuery,
    FileRawQuery,
    FileUploadQuery,
    FolderQuery,
    JobRunsQuery,
    MemoryFileQuery,
    MemoryHistoryQuery,
    MemorySearchQuery,
    NotificationListQuery,
)
from handlers.schemas import (
    FileMoveBody,
    FilePathBody,
    FileWriteBody,
    JobBody,
    JobChangeBody,
    MemoryRevertBody,
    MemoryWriteBody,
    PreviewBody,
    SeenBody,
)
from handlers.skills import SkillMenuHandler
from starpod.cron.types import JobRun
from starpod.memory.types import Hit
from starpod.memory.versions import MemoryFile, MemoryText, Version
from starpod.tools.browsing import Entry, Info, Text

CSV = ("text/csv",)

JOBS = (
    Route(
        "/api/cron/jobs",
        JobListHandler,
        "user",
        Get("One's own jobs, all for admins", list[JobAnswer]),
        Post("A new job", JobAnswer, body=JobBody, status=201, errors=(409,)),
    ),
    Route("/api/cron/preview", PreviewHandler, "user", Post("When a schedule would be due", Preview, body=PreviewBody)),
    Route(
        "/api/cron/jobs/{job_id}",
        JobHandler,
        "user",
        Get("One job", JobAnswer),
        Put("Change a job", JobAnswer, body=JobChangeBody, errors=(409,)),
        Delete("Delete a job", status=204, errors=(409,)),
    ),
    Route(
        "/api/cron/jobs/{job_id}/run",
        JobRunHandler,
        "user",
        Post("Start a job now", JobStarted, status=202, errors=(409,), about="The answer does not wait for the end."),
    ),
    Route(
        "/api/cron/jobs/{job_id}/{verb:pause|resume}",
        JobSwitchHandler,
        "user",
        Post("Switch a job off or on", JobAnswer, errors=(409,)),
    ),
    Route(
        "/api/cron/jobs/{job_id}/runs",
        JobHistoryHandler,
        "user",
        Get("A job's runs, the newest first", list[JobRun], query=JobRunsQuery),
    ),
)

NEWS = (
    Route(
        "/api/notifications",
        NotificationListHandler,
        "user",
        Get("What the caller was told", NotificationPage, query=NotificationListQuery),
    ),
    Route(
        "/api/notifications/read",
        NotificationReadHandler,
        "user",
        Post("Mark notifications as read", Unread, body=SeenBody),
    ),
    Route(
        "/api/outbox",
        DeliveryListHandler,
        "user",
        Get("What is on its way to people outside", DeliveryPage, query=DeliveryListQuery),
    ),
    Route(
        "/api/outbox/{delivery_id}",
        DeliveryHandler,
        "user",
        Delete("Do not deliver it any more", status=204, errors=(409,)),
    ),
    Route(
        "/api/outbox/{delivery_id}/retry",
        DeliveryRetryHandler,
        "user",
        Post("Try it again at once", Ok, errors=(409,)),
    ),
)

MEMORY = (
    Route(
        "/api/memory/search",
        MemorySearchHandler,
        "user",
        Get("Search memory, the best first", list[Hit], query=MemorySearchQuery),
    ),
    Route(
        "/api/memory/reindex",
        MemoryReindexHandler,
        "user",
        Post("Build the index anew", MemoryIndexed, errors=(409,), about="Searches go on meanwhile."),
    ),
    Route(
        "/api/memory/files",
        MemoryFilesHandler,
        "user",
        Get(
            "The memory files, or one of them", list[MemoryFile] | MemoryText, query=MemoryFileQuery, errors=(404, 409)
        ),
        Put("Write a memory file", MemoryWritten, body=MemoryWriteBody, errors=(404, 409)),
    ),
    Route(
        "/api/memory/history",
        MemoryHistoryHandler,
        "user",
        Get(
            "The versions of a file, or what one of them held",
            list[Version] | MemoryVersion,
            query=MemoryHistoryQuery,
            errors=(404, 409),
        ),
    ),
    Route(
        "/api/memory/revert",
        MemoryRevertHandler,
        "user",
        Post("Go back to an earlier version", MemoryWritten, body=MemoryRevertBody, errors=(404, 409)),
    ),
    Route("/api/skills", SkillMenuHandler, "user", Get("What can be called by `/name`", list[SkillName])),
)

FILES = (
    Route(
        "/api/files",
        FileListHandler,
        "user",
        Get("What is in a folder of one's home", list[Entry], query=FolderQuery, errors=(404,)),
        Delete("Delete a file, or a folder with all that is in it", Done, query=FilePathQuery, errors=(404, 409)),
    ),
    Route(
        "/api/files/info",
        FileInfoHandler,
        "user",
        Get("What a file or folder is, before it is read", Info, query=FilePathQuery, errors=(404,)),
    ),
    Route(
        "/api/files/read",
        FileTextHandler,
        "user",
        Get("A text file", Text, query=FilePathQuery, errors=(404,)),
    ),
    Route(
        "/api/files/raw",
        FileRawHandler,
        "user",
        Get("A file's bytes", query=FileRawQuery, media=("*/*",), errors=(404,)),
        Put(
            "Upload a file",
            Done,
            query=FileUploadQuery,
            is_upload=True,
            also={201: Done},
            errors=(404, 409),
            about="201 when it is new.",
        ),
    ),
    Route(
        "/api/files/write",
        FileWriteHandler,
        "user",
        Put("Write a text file", Done, body=FileWriteBody, errors=(404, 409)),
    ),
    Route(
        "/api/files/mkdir",
        FileFolderHandler,
        "user",
        Post("Make a folder and its parents", Done, body=FilePathBody, errors=(404, 409)),
    ),
    Route(
        "/api/files/move",
        MoveHandler,
        "user",
        Post("Give a file or folder another name or place", Done, body=FileMoveBody, errors=(404, 409)),
    ),
)

COSTS = (
    Route("/api/budget", OwnBudgetHandler, "user", Get("The limits that hold for the caller", Limits)),
    Route(
        "/api/costs",
        OwnCostsHandler,
        "user",
        Get("What the caller used; without users, everybody", Costs, query=CostsQuery, media=CSV),
    ),
)
