"""Routes of conversations: messages, sessions, their branches, and what waits for an answer."""

from __future__ import annotations

from handlers.answers import ApprovalsAnswer, ChatAnswer, DeletedMessages, FailedChat, Ok, Running, Stopped
from handlers.approvals import ApprovalHandler, ApprovalListHandler, RememberedHandler
from handlers.chat import ChatHandler
from handlers.operations import EVENT_STREAM, Delete, Get, Patch, Post, Route
from handlers.queries import (
    AskedQuery,
    MessageDeleteQuery,
    MessageListQuery,
    SessionDeleteQuery,
    SessionEventsQuery,
    SessionExportQuery,
    SessionListQuery,
    SessionSearchQuery,
)
from handlers.schemas import (
    AnswerBody,
    ArchiveBody,
    ChatMessage,
    EditBody,
    ReadBody,
    RegenerateBody,
    SessionChangeBody,
    StopBody,
)
from handlers.session_files import SessionFileHandler, SessionFileListHandler
from handlers.sessions import (
    ArchiveHandler,
    BranchHandler,
    BranchListHandler,
    EditHandler,
    ExportHandler,
    MessageHandler,
    MessageListHandler,
    ReadHandler,
    RegenerateHandler,
    RestoreHandler,
    RunningHandler,
    SessionEventsHandler,
    SessionHandler,
    SessionListHandler,
    SessionSearchHandler,
    StopHandler,
    TurnListHandler,
)
from starpod.agent.types import Branch
from starpod.sessions.types import ExportedTurn, Message, Session, SessionFile, SessionHit

STREAM = (EVENT_STREAM,)
FAILED = {402: FailedChat, 502: FailedChat}
STREAMS = (
    "With `Accept: text/event-stream` the turn's events are sent as they come; `/api/asyncapi.json` describes them."
)

CHAT = (
    Route(
        "/api/chat",
        ChatHandler,
        "user",
        Post(
            "One message to the agent, and its answer",
            ChatAnswer,
            body=ChatMessage,
            media=STREAM,
            also=FAILED,
            errors=(404, 409, 504),
            about=STREAMS,
        ),
    ),
)

SESSIONS = (
    Route(
        "/api/sessions",
        SessionListHandler,
        "user",
        Get("Sessions, the newest message first", list[Session], query=SessionListQuery),
    ),
    Route(
        "/api/sessions/search",
        SessionSearchHandler,
        "user",
        Get("Sessions found by words", list[SessionHit], query=SessionSearchQuery),
    ),
    Route(
        "/api/sessions/running",
        RunningHandler,
        "user",
        Get("Ids of the sessions that are being answered", Running, query=AskedQuery),
    ),
    Route(
        "/api/sessions/{session_id}",
        SessionHandler,
        "user",
        Get("One session", Session, query=AskedQuery),
        Patch("Rename or pin a session", Session, body=SessionChangeBody),
        Delete("Delete a session", query=SessionDeleteQuery, status=204, errors=(409,)),
    ),
    Route(
        "/api/sessions/{session_id}/messages",
        MessageListHandler,
        "user",
        Get("A session's messages, the oldest first", list[Message], query=MessageListQuery, any_id=True),
    ),
    Route(
        "/api/sessions/{session_id}/messages/{message_id}",
        MessageHandler,
        "user",
        Delete(
            "Delete a message for good",
            DeletedMessages,
            query=MessageDeleteQuery,
            errors=(409,),
            about="The model does not hear of it any more. A tool call and its result go together; what it cost stays booked.",
        ),
    ),
    Route(
        "/api/sessions/{session_id}/turns",
        TurnListHandler,
        "user",
        Get("What each turn used and cost", list[ExportedTurn], query=AskedQuery),
    ),
    Route(
        "/api/sessions/{session_id}/files",
        SessionFileListHandler,
        "user",
        Get("Files that came with messages and answers", list[SessionFile], query=AskedQuery),
    ),
    Route(
        "/api/sessions/{session_id}/files/{file_id}",
        SessionFileHandler,
        "user",
        Get("A file's bytes", query=AskedQuery, media=("*/*",)),
    ),
    Route(
        "/api/sessions/{session_id}/events",
        SessionEventsHandler,
        "user",
        Get(
            "Follow a turn as server-sent events",
            query=SessionEventsQuery,
            media=STREAM,
            about="The header `Last-Event-ID` counts as `after`. `/api/asyncapi.json` describes the events.",
        ),
    ),
    Route(
        "/api/sessions/{session_id}/read",
        ReadHandler,
        "user",
        Post("Mark a session read or unread", Ok, body=ReadBody),
    ),
    Route(
        "/api/sessions/{session_id}/archive",
        ArchiveHandler,
        "user",
        Post("Put a session away or bring it back", Ok, body=ArchiveBody),
    ),
    Route(
        "/api/sessions/{session_id}/stop",
        StopHandler,
        "user",
        Post("Stop the running turn", Stopped, body=StopBody),
    ),
    Route(
        "/api/sessions/{session_id}/restore",
        RestoreHandler,
        "user",
        Post("Undo a deletion", Session),
    ),
    Route(
        "/api/sessions/{session_id}/export",
        ExportHandler,
        "user",
        Get("The whole conversation as a file", dict, query=SessionExportQuery, media=("text/markdown",)),
    ),
    Route(
        "/api/sessions/{session_id}/regenerate",
        RegenerateHandler,
        "user",
        Post(
            "Answer the newest message again",
            ChatAnswer,
            body=RegenerateBody,
            media=STREAM,
            also=FAILED,
            errors=(409, 504),
            about=STREAMS,
        ),
    ),
    Route(
        "/api/sessions/{session_id}/edit",
        EditHandler,
        "user",
        Post(
            "Say something else instead of an earlier message",
            ChatAnswer,
            body=EditBody,
            media=STREAM,
            also=FAILED,
            errors=(409, 504),
            about=STREAMS,
        ),
    ),
    Route(
        "/api/sessions/{session_id}/branches",
        BranchListHandler,
        "user",
        Get("Turns that have others in their place", list[Branch]),
    ),
    Route(
        "/api/sessions/{session_id}/branches/{turn_id}/activate",
        BranchHandler,
        "user",
        Post("Show the branch through this turn", list[Branch], errors=(409,)),
    ),
)

APPROVALS = (
    Route(
        "/api/sessions/{session_id}/approvals/{approval_id}",
        ApprovalHandler,
        "user",
        Post("Let a tool call run that waits, or not", Ok, body=AnswerBody, errors=(409,)),
    ),
    Route(
        "/api/approvals",
        ApprovalListHandler,
        "user",
        Get("What waits for an answer, and what is remembered", ApprovalsAnswer),
    ),
    Route(
        "/api/approvals/{answer_id}",
        RememberedHandler,
        "user",
        Delete("Forget a remembered answer", status=204),
    ),
)
