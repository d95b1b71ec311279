"""SKILL.md: YAML front matter between two lines of three dashes, then Markdown (the AgentSkills layout)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from starpod.errors import InvalidInput
from starpod.skills.types import SkillDocument

NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
NAME_LENGTH = 64
DESCRIPTION_LENGTH = 1024
FIRST_LINE_LENGTH = 120
FRONT_MATTER_BYTES = 16 * 1024
BODY_BYTES = 200 * 1024
DOCUMENT_BYTES = FRONT_MATTER_BYTES + BODY_BYTES + 64
RESERVED = frozenset({"generate"})
"""Names that the settings routes use themselves."""
_FRONT_MATTER = re.compile(r"---[ \t]*\n(?P<yaml>.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def check_name(name: str) -> str:
    """The name when it may be one. InvalidInput says which are."""
    if len(name) > NAME_LENGTH or not NAME.fullmatch(name) or name in RESERVED:
        raise InvalidInput(
            f"The skill name must be 1 to {NAME_LENGTH} lower-case letters, digits and single hyphens between them, "
            "such as weekly-report"
        )
    return name


def check_description(description: str) -> str:
    """The description without surrounding blanks. InvalidInput when it is empty, too long, or no plain text."""
    description = description.strip()
    if not description:
        raise InvalidInput("The skill needs a description that says when to use it")
    if len(description) > DESCRIPTION_LENGTH:
        raise InvalidInput(f"The skill's description may have {DESCRIPTION_LENGTH} characters at most")
    return _plain(description, "description")


def check_body(body: str) -> str:
    """The instructions without surrounding blanks. InvalidInput when they are empty, too long, or no plain text."""
    body = body.strip()
    if not body:
        raise InvalidInput("The skill's body is empty; write down what to do")
    if len(_plain(body, "body").encode()) > BODY_BYTES:
        raise InvalidInput(f"The skill's body may have {BODY_BYTES} bytes at most; put the rest into references/")
    return body


def parse(text: str, folder_name: str) -> SkillDocument:
    """Read a SKILL.md that stands in the folder `folder_name`. InvalidInput says what is wrong with it.

    Without front matter the folder gives the name and the first line the description.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    found = _FRONT_MATTER.match(text)
    if found is None:
        if re.match(r"---[ \t]*\n", text):
            raise InvalidInput("The front matter is not closed: a line with only --- is missing")
        return _without_front_matter(text, folder_name)
    front = _load(found["yaml"])
    name = front.get("name", folder_name)
    description = front.get("description", "")
    if not isinstance(name, str) or not isinstance(description, str):
        raise InvalidInput("name and description must be text")
    check_name(name)
    if name != folder_name:
        raise InvalidInput(f"The skill calls itself {name!r} but its folder is {folder_name!r}; make the two the same")
    return SkillDocument(name, check_description(description), check_body(text[found.end() :]), front)


def dump(document: SkillDocument) -> str:
    """The document as the text of a SKILL.md; `parse` gives it back."""
    front: dict[str, Any] = {"name": document.name, "description": document.description}
    front |= {key: value for key, value in document.front_matter.items() if key not in front}
    head = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{head}---\n\n{document.body}\n"


def _load(text: str) -> Mapping[str, Any]:
    if len(text.encode(errors="replace")) > FRONT_MATTER_BYTES:
        raise InvalidInput(f"The front matter may have {FRONT_MATTER_BYTES} bytes at most")
    try:
        # BaseLoader knows text, lists and maps only: `version: 1.10` stays 1.10 and nothing can be constructed.
        front = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        place = f" in its line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InvalidInput(f"The front matter is not YAML{place}: {error.problem or 'it cannot be read'}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidInput("The front matter is not YAML") from error
    if front is None or front == "":
        return {}
    if not isinstance(front, dict) or not all(isinstance(key, str) for key in front):
        raise InvalidInput("The front matter must be lines of the form key: value")
    if not _is_flat(front):
        # Deeper nesting has no meaning here, and aliases could make it enormous.
        raise InvalidInput(
            "The front matter is nested too deeply: only text, lists of text and maps of text belong there"
        )
    return front


def _is_flat(front: Mapping[str, Any]) -> bool:
    for value in front.values():
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        if not all(isinstance(part, str) for part in parts):
            return False
    return True


def _without_front_matter(text: str, folder_name: str) -> SkillDocument:
    body = check_body(text)
    first = next((line.strip().lstrip("#").strip() for line in body.splitlines() if line.strip("# \t")), "")
    return SkillDocument(check_name(folder_name), check_description(first[:FIRST_LINE_LENGTH]), body)


def _plain(text: str, what: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"The skill's {what} holds half of a surrogate pair") from error
    if _CONTROL.search(text):
        raise InvalidInput(f"The skill's {what} holds control characters")
    return text
