"""A folder that an earlier schema wrote goes on where it was: nothing is lost, and the model is shown what it was shown before."""

from __future__ import annotations

import uuid
from pathlib import Path

import peewee
import pytest
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart

from starpod.agent import history
from starpod.db.database import Database
from starpod.db.migrate import load_migrations, migrate
from starpod.server import prepare
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import script

ANN = str(uuid.uuid4())
TALK = (("I have a cat", "Nice."), ("Her name is Mia", "Noted."), ("What is her name?", "Mia."))


def write_old(connection: peewee.Database) -> None:
    """A user with one conversation of three turns, as the first schema stores it."""
    connection.execute_sql(
        "INSERT INTO users (id, role, display_name, created_at, updated_at) VALUES (?, 'admin', 'Ann', ?, ?)",
        (ANN, "2026-03-01T00:00:00.000000+00:00", "2026-03-01T00:00:00.000000+00:00"),
    )
    connection.execute_sql(
        "INSERT INTO session_metadata (id, created_at, last_message_at, message_count, channel, channel_session_key, title, user_id) "
        "VALUES ('s1', ?, ?, 3, 'main', 'k', 'I have a cat', ?)",
        ("2026-03-01T10:00:00.000000+00:00", "2026-03-01T10:02:00.000000+00:00", ANN),
    )
    for number, (asked, said) in enumerate(TALK):
        turn, now = f"t{number}", f"2026-03-01T10:0{number}:00.000000+00:00"
        connection.execute_sql(
            "INSERT INTO turns (id, session_id, user_id, state, text, num_turns, created_at) VALUES (?, 's1', ?, 'completed', ?, 1, ?)",
            (turn, ANN, asked, now),
        )
        messages: tuple[tuple[str, str, ModelMessage], ...] = (
            ("user", asked, ModelRequest(parts=[UserPromptPart(asked)])),
            ("assistant", said, ModelResponse(parts=[TextPart(said)])),
        )
        for role, text, message in messages:
            connection.execute_sql(
                "INSERT INTO session_messages (session_id, turn_id, role, content, timestamp) VALUES ('s1', ?, ?, ?, ?)",
                (turn, role, text, now),
            )
            connection.execute_sql(
                "INSERT INTO model_messages (session_id, turn_id, message, created_at) VALUES ('s1', ?, ?, ?)",
                (turn, history.dump(message), now),
            )


@pytest.mark.gen_test
@pytest.mark.parametrize("schema", range(1, max(load_migrations())))
async def test_a_conversation_of_an_earlier_schema_goes_on(tmp_path: Path, schema: int) -> None:
    paths, _ = prepare(tmp_path, {})
    paths.db_dir.mkdir(parents=True, exist_ok=True)
    old = Database(paths.core_db)
    steps = load_migrations()
    migrate(old, {number: step for number, step in steps.items() if number <= 1})
    old.run_here(write_old)
    migrate(old, {number: step for number, step in steps.items() if number <= schema})
    old.close()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        _, key = await gateway.state.auth.create_key(ANN)
        client = gateway.client(key)
        messages = (await client.get("/api/sessions/s1/messages")).json()
        assert [(each["role"], each["content"]) for each in messages] == [
            pair for asked, said in TALK for pair in (("user", asked), ("assistant", said))
        ]
        gateway.provider.play(script("Still Mia."))
        again = await client.post("/api/sessions/s1/regenerate", json={})
        assert (again.status_code, again.json()["text"]) == (200, "Still Mia.")
        sent = [each["content"] for each in gateway.provider.requests[-1].body["messages"] if each["role"] != "system"]
        assert sent == ["I have a cat", "Nice.", "Her name is Mia", "Noted.", "What is her name?"]
        found = (await client.get("/api/sessions/search", params={"q": "Mia"})).json()
        assert [each["session_id"] for each in found] == ["s1"]
        branches = (await client.get("/api/sessions/s1/branches")).json()
        assert len([each for each in branches if each["parent_id"] == "t1"]) == 2
