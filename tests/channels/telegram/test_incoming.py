"""Updates as records: what is read of them, and that nothing in them does harm."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starpod.channels.telegram.incoming import Malformed, album_of, chat_id_of, read_update, update_id_of
from starpod.channels.telegram.types import Address, ButtonPress, IncomingMessage

NAMES = st.sampled_from(
    [
        "message",
        "callback_query",
        "chat",
        "id",
        "from",
        "message_id",
        "text",
        "entities",
        "type",
        "offset",
        "photo",
        "document",
        "file_id",
        "file_name",
        "file_size",
        "reply_to_message",
        "quote",
        "data",
        "media_group_id",
        "is_topic_message",
        "message_thread_id",
        "caption",
        "username",
    ]
)
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["/new", "private"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=8),
    max_leaves=25,
)
MESSAGES = st.dictionaries(NAMES, ANY_JSON, max_size=10).map(
    lambda fields: {"message_id": 1, "chat": {"id": 7}, "from": {"id": 7}} | fields
)


def message(**fields: Any) -> IncomingMessage:
    base = {"message_id": 5, "chat": {"id": -3, "type": "group"}, "from": {"id": 7, "username": "ann"}}
    found = read_update({"update_id": 1, "message": base | fields}, "nova_bot")
    assert isinstance(found, IncomingMessage)
    return found


@given(st.one_of(ANY_JSON, MESSAGES.map(lambda message: {"update_id": 1, "message": message})))
@settings(max_examples=500, deadline=None)
def test_any_update_is_read_or_refused(update: Any) -> None:
    update_id_of(update)
    if isinstance(update, dict):
        try:
            found = read_update(update, "nova_bot")
        except Malformed:
            found = None
        assert found is None or isinstance(found, IncomingMessage | ButtonPress)
        assert isinstance(chat_id_of(update), int)
        album_of(update)


@pytest.mark.parametrize(
    ("text", "command", "rest"),
    [
        ("/new", "new", "/new"),
        ("/NEW now", "new", "/NEW now"),
        ("/new@nova_bot", "new", "/new"),
        ("/new@Nova_Bot please", "new", "/new please"),
        ("/new@other_bot", None, "/new@other_bot"),
        ("/brief\nthe rest", "brief", "/brief\nthe rest"),
        ("no /new", None, "no /new"),
    ],
)
def test_a_command_is_what_telegram_marks_as_one_and_means_this_bot(text: str, command: str | None, rest: str) -> None:
    marked = [{"type": "bot_command", "offset": text.index("/"), "length": 4}]
    found = message(text=text, entities=marked)
    assert (found.command, found.text) == (command, rest)
    assert message(text=text).command is None


def test_a_group_is_answered_by_a_reply_in_its_topic() -> None:
    assert message(text="x").address == Address(-3, None, 5)
    assert message(text="x", is_topic_message=True, message_thread_id=9).address == Address(-3, 9, 5)
    assert message(text="x", chat={"id": 7, "type": "private"}).address == Address(7)


def test_a_quote_goes_before_the_whole_and_files_are_named() -> None:
    replied = {"text": "one\ntwo", "from": {"is_bot": False}}
    assert message(text="x", reply_to_message=replied).context == "In reply to an earlier message:\n> one\n> two"
    assert "> two" in message(text="x", reply_to_message=replied, quote={"text": "two"}).context
    assert "> one" not in message(text="x", reply_to_message=replied, quote={"text": "two"}).context
    elsewhere = {"origin": {"type": "user"}, "chat": {"id": -9}}
    assert message(text="x", external_reply=elsewhere, quote={"text": "two"}).context.endswith("message:\n> two")
    assert message(text="x", external_reply=elsewhere).context == ""
    photo = {"photo": [{"file_id": "f", "width": 1, "height": 1}], "from": {}}
    assert message(text="x", reply_to_message=photo).context == "In reply to an earlier message with photo.jpg:"
    assert message(text="x", reply_to_message={"forum_topic_created": {}, "text": "t"}).context == ""
    assert len(message(text="x", reply_to_message={"text": "y" * 9000}).context) < 2100


def test_the_largest_photo_is_taken() -> None:
    photos = [{"file_id": name, "width": side, "height": side} for name, side in (("a", 9), ("b", 90), ("c", 50))]
    (file,) = message(photo=photos).files
    assert (file.file_id, file.file_name, file.mime_type, file.size_bytes) == ("b", "photo.jpg", "image/jpeg", None)
