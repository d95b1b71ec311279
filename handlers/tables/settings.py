"""Routes for admins: settings, people, secrets, skills, and what it all costs."""

from __future__ import annotations

from handlers.admin_answers import (
    Costs,
    Document,
    Folder,
    Frontend,
    Heartbeat,
    McpServers,
    Models,
    NoLink,
    OfferedSkill,
    OwnLimits,
    SavedSkill,
    SettingsStatus,
    SetupStatus,
    SkillDetail,
    SkillDraft,
    UserLimits,
    VaultList,
)
from handlers.admin_schemas import (
    DocumentBody,
    FolderBody,
    FrontendBody,
    HeartbeatBody,
    ModelTestBody,
    SkillBody,
    SkillChangeBody,
    SkillDraftBody,
    TelegramLinkBody,
    UserBody,
    UserBudgetBody,
    UserChangeBody,
    VaultBody,
    VaultHostsBody,
    page_type,
    shown_page_type,
)
from handlers.answers import Done, NewApiKey, Saved
from handlers.budgets import UserBudgetHandler, UserBudgetListHandler
from handlers.costs import CostsHandler
from handlers.mcp import McpHandler
from handlers.model_test import ModelTestHandler
from handlers.operations import Delete, Get, Post, Put, Route
from handlers.queries import AllCostsQuery, AuditQuery, UserDeleteQuery
from handlers.schemas import KeyBody, RotateBody
from handlers.settings import (
    AuditHandler,
    DocumentHandler,
    ModelListHandler,
    SchemaHandler,
    SectionHandler,
    StatusHandler,
)
from handlers.setup import FolderHandler, FolderListHandler, FrontendHandler, HeartbeatHandler, SetupStatusHandler
from handlers.skills import SkillDraftHandler, SkillHandler, SkillListHandler
from handlers.users import (
    KeyListHandler,
    KeyRevokeHandler,
    KeyRotateHandler,
    TelegramLinkHandler,
    UserActiveHandler,
    UserHandler,
    UserListHandler,
)
from handlers.vault import VaultEntryHandler, VaultHostsHandler, VaultListHandler
from starpod.agent.model_test import ModelTest
from starpod.auth.types import ApiKey, AuditEvent, TelegramLink, User
from starpod.config.pages import UserFolder
from starpod.config.sections import SECTIONS

SETTINGS = (
    *(
        Route(
            f"/api/settings/{{section:{name}}}",
            SectionHandler,
            "admin",
            Get(f"The settings page {name}", shown_page_type(name)),
            Put(f"Save the settings page {name}", Saved, body=page_type(name), errors=(409,)),
        )
        for name in SECTIONS
    ),
    Route(
        "/api/settings/heartbeat",
        HeartbeatHandler,
        "admin",
        Get("What the agent does by itself", Heartbeat),
        Put("Change what the agent does by itself", Done, body=HeartbeatBody),
    ),
    Route(
        "/api/settings/frontend",
        FrontendHandler,
        "admin",
        Get("What the page greets with", Frontend),
        Put("Change what the page greets with", Done, body=FrontendBody),
    ),
    Route("/api/settings/setup-status", SetupStatusHandler, "admin", Get("What a new agent still needs", SetupStatus)),
    Route(
        "/api/settings/status",
        StatusHandler,
        "admin",
        Get("What is wrong with the files, what waits for a restart, how the channels are", SettingsStatus),
    ),
    Route(
        "/api/settings/schema",
        SchemaHandler,
        "admin",
        Get("Every setting with type, bounds, default and help, as JSON Schema", dict),
    ),
    Route("/api/settings/models", ModelListHandler, "admin", Get("Every known model by provider", Models)),
    Route(
        "/api/settings/models/test",
        ModelTestHandler,
        "admin",
        Post("Ask a model one tiny thing", ModelTest, body=ModelTestBody, about="`ok` and `error` say how it went."),
    ),
    Route(
        "/api/settings/audit",
        AuditHandler,
        "admin",
        Get("Lines of the audit log, the newest first", list[AuditEvent], query=AuditQuery),
    ),
    Route(
        "/api/settings/files/{name}",
        DocumentHandler,
        "admin",
        Get("One of the agent's files, such as SOUL.md", Document),
        Put("Write one of the agent's files", Done, body=DocumentBody, errors=(409,)),
    ),
    Route("/api/settings/mcp", McpHandler, "admin", Get("How the MCP servers are doing", McpServers)),
)

USERS = (
    Route(
        "/api/settings/auth/users",
        UserListHandler,
        "admin",
        Get("All users", list[User]),
        Post("A new user", User, body=UserBody, status=201, errors=(409,)),
    ),
    Route(
        "/api/settings/auth/users/{user_id}",
        UserHandler,
        "admin",
        Get("One user", User),
        Put("Change a user", User, body=UserChangeBody, errors=(409,), about="Null empties, what is left out stays."),
        Delete("Delete a user", query=UserDeleteQuery, status=204, errors=(409,)),
    ),
    Route(
        "/api/settings/auth/users/{user_id}/{verb:activate|deactivate}",
        UserActiveHandler,
        "admin",
        Post("Let a user in, or not", Done, errors=(409,)),
    ),
    Route(
        "/api/settings/auth/users/{user_id}/api-keys",
        KeyListHandler,
        "admin",
        Get("A user's keys", list[ApiKey], any_id=True),
        Post("A new key for a user", NewApiKey, body=KeyBody, status=201, errors=(409,)),
    ),
    Route(
        "/api/settings/auth/users/{user_id}/telegram",
        TelegramLinkHandler,
        "admin",
        Get("A user's Telegram account", TelegramLink | NoLink, any_id=True),
        Put("Link a Telegram account", TelegramLink, body=TelegramLinkBody, errors=(409,)),
        Delete("Unlink the Telegram account", Done, any_id=True),
    ),
    Route("/api/settings/auth/api-keys/{key_id}/revoke", KeyRevokeHandler, "admin", Post("End a key", Done)),
    Route(
        "/api/settings/auth/api-keys/{key_id}/rotate",
        KeyRotateHandler,
        "admin",
        Post("A new key instead of an old one", NewApiKey, body=RotateBody, status=201, errors=(409,)),
    ),
    Route(
        "/api/settings/users",
        FolderListHandler,
        "admin",
        Get("What the agent keeps of users on disk", list[UserFolder]),
        Post("A new folder of a user", UserFolder, body=FolderBody, status=201),
    ),
    Route(
        "/api/settings/users/{user_id}",
        FolderHandler,
        "admin",
        Get("What the agent knows of a user", Folder),
        Put("Write a user's USER.md", Done, body=DocumentBody, errors=(409,)),
        Delete("Forget what the agent knows of a user", status=204),
    ),
)

SKILLS = (
    Route(
        "/api/settings/skills",
        SkillListHandler,
        "admin",
        Get("All skills, broken ones too", list[OfferedSkill]),
        Post("A new skill", SkillDetail, body=SkillBody, status=201, errors=(409,)),
    ),
    Route(
        "/api/settings/skills/generate",
        SkillDraftHandler,
        "admin",
        Post("A draft by the default model; nothing is stored", SkillDraft, body=SkillDraftBody, errors=(500,)),
    ),
    Route(
        "/api/settings/skills/{name}",
        SkillHandler,
        "admin",
        Get("One skill", SkillDetail),
        Put("Change a skill", SavedSkill, body=SkillChangeBody, errors=(409,)),
        Delete("Delete a skill", status=204, errors=(409,)),
    ),
)

SPENDING = (
    Route("/api/settings/budgets/users", UserBudgetListHandler, "admin", Get("Users' own limits", list[OwnLimits])),
    Route(
        "/api/settings/budgets/users/{user_id}",
        UserBudgetHandler,
        "admin",
        Get("A user's own limits, and all that hold for them", UserLimits),
        Put("Change a user's own limits", Done, body=UserBudgetBody),
    ),
    Route(
        "/api/settings/costs",
        CostsHandler,
        "admin",
        Get("What the gateway used, or one person", Costs, query=AllCostsQuery, media=("text/csv",)),
    ),
)

VAULT = (
    Route("/api/settings/vault", VaultListHandler, "admin", Get("The names of all secrets", VaultList)),
    Route(
        "/api/settings/vault/{name}",
        VaultEntryHandler,
        "admin",
        Put("Keep a secret", body=VaultBody, about="Hosts that are left out stay as they were."),
        Delete("Delete a secret"),
    ),
    Route(
        "/api/settings/vault/{name}/meta",
        VaultHostsHandler,
        "admin",
        Put("Where a secret may be sent", body=VaultHostsBody),
    ),
)
