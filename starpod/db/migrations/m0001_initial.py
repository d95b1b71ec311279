"""Users, keys, sessions, messages, turns and usage: the tables of the first release."""

from __future__ import annotations

import peewee

STATEMENTS = (
    """CREATE TABLE users (
        id TEXT PRIMARY KEY, email TEXT UNIQUE, display_name TEXT,
        role TEXT NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
        is_active INTEGER NOT NULL DEFAULT 1, filesystem_enabled INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL)""",
    """CREATE TABLE api_keys (
        id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        prefix TEXT NOT NULL, key_hash TEXT NOT NULL, label TEXT,
        expires_at TEXT, revoked_at TEXT, last_used_at TEXT, created_at TEXT NOT NULL)""",
    "CREATE INDEX api_keys_prefix ON api_keys (prefix)",
    "CREATE INDEX api_keys_user ON api_keys (user_id)",
    """CREATE TABLE sign_ins (
        id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        kind TEXT NOT NULL CHECK (kind IN ('cookie', 'code')), token_hash TEXT NOT NULL UNIQUE,
        api_key_id TEXT REFERENCES api_keys (id) ON DELETE CASCADE,
        created_at TEXT NOT NULL, expires_at TEXT NOT NULL, used_at TEXT)""",
    "CREATE INDEX sign_ins_expires ON sign_ins (expires_at)",
    """CREATE TABLE telegram_links (
        id INTEGER PRIMARY KEY AUTOINCREMENT, telegram_id INTEGER UNIQUE,
        user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE, username TEXT, linked_at TEXT NOT NULL)""",
    "CREATE UNIQUE INDEX telegram_links_username ON telegram_links (username) WHERE username IS NOT NULL",
    "CREATE INDEX telegram_links_user ON telegram_links (user_id)",
    """CREATE TABLE auth_audit_log (
        id INTEGER PRIMARY KEY AUTOINCREMENT, user_id TEXT, event_type TEXT NOT NULL, detail TEXT,
        ip_address TEXT, created_at TEXT NOT NULL)""",
    "CREATE INDEX auth_audit_log_user ON auth_audit_log (user_id)",
    "CREATE INDEX auth_audit_log_created ON auth_audit_log (created_at)",
    """CREATE TABLE session_metadata (
        id TEXT PRIMARY KEY, created_at TEXT NOT NULL, last_message_at TEXT NOT NULL,
        is_closed INTEGER NOT NULL DEFAULT 0, summary TEXT, message_count INTEGER NOT NULL DEFAULT 0,
        channel TEXT NOT NULL DEFAULT 'main', channel_session_key TEXT, title TEXT,
        user_id TEXT NOT NULL DEFAULT 'admin', is_read INTEGER NOT NULL DEFAULT 1,
        is_archived INTEGER NOT NULL DEFAULT 0, triggered_by TEXT)""",
    """CREATE INDEX session_metadata_key
        ON session_metadata (channel, channel_session_key, user_id, is_closed, last_message_at DESC)""",
    "CREATE INDEX session_metadata_user ON session_metadata (user_id, is_archived, last_message_at DESC)",
    # One open session per channel, key and user: resolving is race-free even across processes.
    """CREATE UNIQUE INDEX session_metadata_open ON session_metadata (channel, channel_session_key, user_id)
        WHERE is_closed = 0""",
    """CREATE TABLE turns (
        id TEXT PRIMARY KEY, session_id TEXT NOT NULL REFERENCES session_metadata (id) ON DELETE CASCADE,
        user_id TEXT NOT NULL, client_message_id TEXT, model TEXT,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'completed', 'stopped', 'failed', 'interrupted')),
        text TEXT NOT NULL, num_turns INTEGER NOT NULL DEFAULT 0, error TEXT,
        created_at TEXT NOT NULL, started_at TEXT, ended_at TEXT)""",
    "CREATE INDEX turns_session ON turns (session_id, created_at)",
    "CREATE INDEX turns_unfinished ON turns (state) WHERE state IN ('queued', 'running')",
    """CREATE UNIQUE INDEX turns_client_message ON turns (user_id, client_message_id)
        WHERE client_message_id IS NOT NULL""",
    """CREATE TABLE session_messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        session_id TEXT NOT NULL REFERENCES session_metadata (id) ON DELETE CASCADE,
        turn_id TEXT REFERENCES turns (id) ON DELETE SET NULL,
        role TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'tool_use', 'tool_result')),
        content TEXT NOT NULL, timestamp TEXT NOT NULL,
        -- A user's message that the model's history does not hold yet.
        is_pending INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX session_messages_session ON session_messages (session_id, id)",
    "CREATE INDEX session_messages_turn ON session_messages (turn_id)",
    # A follow-up that was injected into a running turn, or any other message sent twice, is known by its id.
    """CREATE TABLE follow_ups (
        user_id TEXT NOT NULL, client_message_id TEXT NOT NULL,
        turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE, PRIMARY KEY (user_id, client_message_id))""",
    # What the model is shown: pydantic-ai messages as JSON, complete and in order.
    """CREATE TABLE model_messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        session_id TEXT NOT NULL REFERENCES session_metadata (id) ON DELETE CASCADE,
        turn_id TEXT REFERENCES turns (id) ON DELETE SET NULL,
        message TEXT NOT NULL, created_at TEXT NOT NULL)""",
    "CREATE INDEX model_messages_session ON model_messages (session_id, id)",
    # Text that is being streamed, appended a few times a second; gone once the whole message is stored.
    """CREATE TABLE turn_journal (
        id INTEGER PRIMARY KEY AUTOINCREMENT, turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        text TEXT NOT NULL)""",
    "CREATE INDEX turn_journal_turn ON turn_journal (turn_id, id)",
    """CREATE TABLE attachments (
        id TEXT PRIMARY KEY, session_id TEXT NOT NULL REFERENCES session_metadata (id) ON DELETE CASCADE,
        turn_id TEXT REFERENCES turns (id) ON DELETE SET NULL,
        direction TEXT NOT NULL CHECK (direction IN ('in', 'out')),
        file_name TEXT NOT NULL, mime_type TEXT NOT NULL, size_bytes INTEGER NOT NULL, path TEXT NOT NULL,
        created_at TEXT NOT NULL)""",
    "CREATE INDEX attachments_session ON attachments (session_id)",
    """CREATE TABLE usage_stats (
        id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT, turn_id TEXT, turn INTEGER NOT NULL DEFAULT 0,
        input_tokens INTEGER NOT NULL DEFAULT 0, output_tokens INTEGER NOT NULL DEFAULT 0,
        cache_read INTEGER NOT NULL DEFAULT 0, cache_write INTEGER NOT NULL DEFAULT 0,
        cost_usd REAL NOT NULL DEFAULT 0, is_estimate INTEGER NOT NULL DEFAULT 0, purpose TEXT NOT NULL DEFAULT 'chat',
        provider TEXT, model TEXT, timestamp TEXT NOT NULL, user_id TEXT NOT NULL DEFAULT 'admin')""",
    "CREATE INDEX usage_stats_user ON usage_stats (user_id, timestamp)",
    "CREATE INDEX usage_stats_time ON usage_stats (timestamp)",
    "CREATE INDEX usage_stats_turn ON usage_stats (turn_id)",
    """CREATE TABLE compaction_log (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        session_id TEXT NOT NULL REFERENCES session_metadata (id) ON DELETE CASCADE,
        timestamp TEXT NOT NULL, "trigger" TEXT NOT NULL DEFAULT 'auto', pre_tokens INTEGER NOT NULL,
        summary TEXT NOT NULL, messages_compacted INTEGER NOT NULL DEFAULT 0, upto_id INTEGER NOT NULL)""",
    "CREATE INDEX compaction_log_session ON compaction_log (session_id, id)",
)


def apply(connection: peewee.Database) -> None:
    for statement in STATEMENTS:
        connection.execute_sql(statement)
