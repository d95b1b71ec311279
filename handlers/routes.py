"""The one table of routes: pattern, handler, who may use it."""

from __future__ import annotations

from dataclasses import dataclass

from tornado.web import RequestHandler, url

from handlers.approvals import ApprovalHandler, ApprovalListHandler, RememberedHandler
from handlers.auth import LoginHandler, LogoutHandler, VerifyHandler
from handlers.base import Access
from handlers.budgets import OwnBudgetHandler, UserBudgetHandler, UserBudgetListHandler
from handlers.chat import ChatHandler
from handlers.costs import CostsHandler, OwnCostsHandler
from handlers.cron import (
    JobHandler,
    JobHistoryHandler,
    JobListHandler,
    JobRunHandler,
    JobSwitchHandler,
    PreviewHandler,
)
from handlers.deliveries import DeliveryHandler, DeliveryListHandler, DeliveryRetryHandler
from handlers.docs import DocsHandler
from handlers.files import (
    FileFolderHandler,
    FileListHandler,
    FileRawHandler,
    FileTextHandler,
    FileWriteHandler,
    MoveHandler,
)
from handlers.frames import FrameCheckHandler
from handlers.health import ConfigHandler, HealthHandler, ReadyHandler
from handlers.instance_proxy import InstanceProxyHandler, InstanceSocketHandler
from handlers.instances import (
    InstanceActionHandler,
    InstanceHandler,
    InstanceHealthHandler,
    InstanceHistoryHandler,
    InstanceListHandler,
    InstanceLogsHandler,
)
from handlers.mcp import McpHandler
from handlers.memory import MemoryReindexHandler, MemorySearchHandler
from handlers.memory_files import MemoryFilesHandler, MemoryHistoryHandler, MemoryRevertHandler
from handlers.model_test import ModelTestHandler
from handlers.notifications import NotificationListHandler, NotificationReadHandler
from handlers.page import AssetHandler, PageHandler
from handlers.sessions import (
    ArchiveHandler,
    BranchHandler,
    BranchListHandler,
    EditHandler,
    ExportHandler,
    MessageListHandler,
    ReadHandler,
    RegenerateHandler,
    RestoreHandler,
    SessionEventsHandler,
    SessionHandler,
    SessionListHandler,
    SessionSearchHandler,
    StopHandler,
    TurnListHandler,
)
from handlers.settings import (
    AuditHandler,
    DocumentHandler,
    ModelListHandler,
    SchemaHandler,
    SectionHandler,
    StatusHandler,
)
from handlers.setup import (
    FolderHandler,
    FolderListHandler,
    FrontendHandler,
    HeartbeatHandler,
    SetupStatusHandler,
)
from handlers.skills import SkillDraftHandler, SkillHandler, SkillListHandler, SkillMenuHandler
from handlers.socket import SocketHandler
from handlers.users import (
    KeyListHandler,
    KeyRevokeHandler,
    KeyRotateHandler,
    OwnKeyEndHandler,
    OwnKeyListHandler,
    OwnKeyRotateHandler,
    TelegramLinkHandler,
    UserActiveHandler,
    UserHandler,
    UserListHandler,
)
from handlers.vault import VaultEntryHandler, VaultHostsHandler, VaultListHandler
from starpod.config.sections import SECTIONS


@dataclass(frozen=True, slots=True)
class Route:
    """A path and what answers it. `access` has no default: a route without a rule is an error."""

    pattern: str
    handler: type[RequestHandler]
    access: Access

    def to_spec(self) -> url:
        """The route as Tornado takes it."""
        return url(self.pattern, self.handler, {"access": self.access})


ID = r"([^/]{1,200})"
# Addresses of the page itself. What machines ask for stays a 404 in JSON; names of files only stand below /files and /memory.
PAGES = r"/(?!(?:api|v1|ws|docs|mcp|i|assets|static|metrics)(?:/|$))(?:(?:files|memory)/.*|[\w-]+(?:/[\w-]+)*/?)"

ROUTES = (
    Route(r"/api/health", HealthHandler, "anyone"),
    Route(r"/api/health/ready", ReadyHandler, "anyone"),
    Route(r"/api/config", ConfigHandler, "anyone"),
    Route(r"/api/auth/verify", VerifyHandler, "anyone"),
    Route(r"/api/auth/login", LoginHandler, "anyone"),
    Route(r"/api/auth/logout", LogoutHandler, "anyone"),
    Route(r"/api/chat", ChatHandler, "user"),
    Route(r"/api/sessions", SessionListHandler, "user"),
    Route(r"/api/sessions/search", SessionSearchHandler, "user"),
    Route(rf"/api/sessions/{ID}", SessionHandler, "user"),
    Route(rf"/api/sessions/{ID}/messages", MessageListHandler, "user"),
    Route(rf"/api/sessions/{ID}/turns", TurnListHandler, "user"),
    Route(rf"/api/sessions/{ID}/events", SessionEventsHandler, "user"),
    Route(rf"/api/sessions/{ID}/read", ReadHandler, "user"),
    Route(rf"/api/sessions/{ID}/archive", ArchiveHandler, "user"),
    Route(rf"/api/sessions/{ID}/stop", StopHandler, "user"),
    Route(rf"/api/sessions/{ID}/restore", RestoreHandler, "user"),
    Route(rf"/api/sessions/{ID}/export", ExportHandler, "user"),
    Route(rf"/api/sessions/{ID}/regenerate", RegenerateHandler, "user"),
    Route(rf"/api/sessions/{ID}/edit", EditHandler, "user"),
    Route(rf"/api/sessions/{ID}/branches", BranchListHandler, "user"),
    Route(rf"/api/sessions/{ID}/branches/{ID}/activate", BranchHandler, "user"),
    Route(rf"/api/sessions/{ID}/approvals/{ID}", ApprovalHandler, "user"),
    Route(r"/api/approvals", ApprovalListHandler, "user"),
    Route(rf"/api/approvals/{ID}", RememberedHandler, "user"),
    Route(r"/api/cron/jobs", JobListHandler, "user"),
    Route(r"/api/cron/preview", PreviewHandler, "user"),
    Route(rf"/api/cron/jobs/{ID}", JobHandler, "user"),
    Route(rf"/api/cron/jobs/{ID}/run", JobRunHandler, "user"),
    Route(rf"/api/cron/jobs/{ID}/(pause|resume)", JobSwitchHandler, "user"),
    Route(rf"/api/cron/jobs/{ID}/runs", JobHistoryHandler, "user"),
    Route(r"/api/notifications", NotificationListHandler, "user"),
    Route(r"/api/notifications/read", NotificationReadHandler, "user"),
    Route(r"/api/outbox", DeliveryListHandler, "user"),
    Route(rf"/api/outbox/{ID}", DeliveryHandler, "user"),
    Route(rf"/api/outbox/{ID}/retry", DeliveryRetryHandler, "user"),
    Route(r"/api/memory/search", MemorySearchHandler, "user"),
    Route(r"/api/memory/reindex", MemoryReindexHandler, "user"),
    Route(rf"/api/settings/({'|'.join(SECTIONS)})", SectionHandler, "admin"),
    Route(r"/api/frame-check", FrameCheckHandler, "user"),
    Route(r"/api/settings/heartbeat", HeartbeatHandler, "admin"),
    Route(r"/api/settings/frontend", FrontendHandler, "admin"),
    Route(r"/api/settings/setup-status", SetupStatusHandler, "admin"),
    Route(r"/api/settings/users", FolderListHandler, "admin"),
    Route(rf"/api/settings/users/{ID}", FolderHandler, "admin"),
    Route(r"/api/settings/status", StatusHandler, "admin"),
    Route(r"/api/settings/schema", SchemaHandler, "admin"),
    Route(r"/api/settings/models", ModelListHandler, "admin"),
    Route(r"/api/settings/models/test", ModelTestHandler, "admin"),
    Route(r"/api/settings/audit", AuditHandler, "admin"),
    Route(rf"/api/settings/files/{ID}", DocumentHandler, "admin"),
    Route(r"/api/settings/auth/users", UserListHandler, "admin"),
    Route(rf"/api/settings/auth/users/{ID}", UserHandler, "admin"),
    Route(rf"/api/settings/auth/users/{ID}/(activate|deactivate)", UserActiveHandler, "admin"),
    Route(rf"/api/settings/auth/users/{ID}/api-keys", KeyListHandler, "admin"),
    Route(rf"/api/settings/auth/users/{ID}/telegram", TelegramLinkHandler, "admin"),
    Route(rf"/api/settings/auth/api-keys/{ID}/revoke", KeyRevokeHandler, "admin"),
    Route(rf"/api/settings/auth/api-keys/{ID}/rotate", KeyRotateHandler, "admin"),
    Route(r"/api/keys", OwnKeyListHandler, "user"),
    Route(rf"/api/keys/{ID}/revoke", OwnKeyEndHandler, "user"),
    Route(rf"/api/keys/{ID}/rotate", OwnKeyRotateHandler, "user"),
    Route(r"/api/skills", SkillMenuHandler, "user"),
    Route(r"/api/settings/mcp", McpHandler, "admin"),
    Route(r"/api/settings/skills", SkillListHandler, "admin"),
    Route(r"/api/settings/skills/generate", SkillDraftHandler, "admin"),
    Route(rf"/api/settings/skills/{ID}", SkillHandler, "admin"),
    Route(r"/api/budget", OwnBudgetHandler, "user"),
    Route(r"/api/settings/budgets/users", UserBudgetListHandler, "admin"),
    Route(rf"/api/settings/budgets/users/{ID}", UserBudgetHandler, "admin"),
    Route(r"/api/costs", OwnCostsHandler, "user"),
    Route(r"/api/settings/costs", CostsHandler, "admin"),
    Route(r"/api/settings/vault", VaultListHandler, "admin"),
    Route(rf"/api/settings/vault/{ID}", VaultEntryHandler, "admin"),
    Route(rf"/api/settings/vault/{ID}/meta", VaultHostsHandler, "admin"),
    Route(r"/api/memory/files", MemoryFilesHandler, "user"),
    Route(r"/api/memory/history", MemoryHistoryHandler, "user"),
    Route(r"/api/memory/revert", MemoryRevertHandler, "user"),
    Route(r"/api/files", FileListHandler, "user"),
    Route(r"/api/files/read", FileTextHandler, "user"),
    Route(r"/api/files/raw", FileRawHandler, "user"),
    Route(r"/api/files/write", FileWriteHandler, "user"),
    Route(r"/api/files/mkdir", FileFolderHandler, "user"),
    Route(r"/api/files/move", MoveHandler, "user"),
    Route(r"/api/instances", InstanceListHandler, "admin"),
    Route(rf"/api/instances/{ID}", InstanceHandler, "admin"),
    Route(rf"/api/instances/{ID}/(pause|start|restart)", InstanceActionHandler, "admin"),
    Route(rf"/api/instances/{ID}/health", InstanceHealthHandler, "admin"),
    Route(rf"/api/instances/{ID}/history", InstanceHistoryHandler, "admin"),
    Route(rf"/api/instances/{ID}/logs", InstanceLogsHandler, "admin"),
    Route(rf"/i/{ID}/ws", InstanceSocketHandler, "admin"),
    Route(rf"/i/{ID}((?:/.*)?)", InstanceProxyHandler, "admin"),
    Route(r"/ws", SocketHandler, "user"),
    Route(r"/docs(?:/(.*))?", DocsHandler, "anyone"),
    Route(r"/", PageHandler, "anyone"),
    Route(r"/assets/([\w.-]+)", AssetHandler, "anyone"),
    Route(r"/(manifest\.webmanifest|icon\.svg|icon-\d+\.png|sw\.js)", AssetHandler, "anyone"),
    Route(PAGES, PageHandler, "anyone"),
)
