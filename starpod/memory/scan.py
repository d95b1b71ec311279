"""Looks for text that would steer a model that reads it from memory: hidden characters, chat markup, commands that send data out.

Ordinary writing passes: joined emoji, direction marks beside right-to-left letters, `human:` in prose, curl in instructions.
"""

from __future__ import annotations

import re
import unicodedata

from starpod.errors import InvalidInput

# Characters of no width that ordinary text has a use for: joiners (emoji, Persian, Indic), direction marks, soft hyphen, word joiner.
_JOINERS = "\u200c\u200d"
_MARKS = "\u200e\u200f\u061c"
_SPACES = "\u200b\u2060\ufeff\u00ad"
_INVISIBLE_RUN = re.compile(rf"[{_JOINERS}{_MARKS}{_SPACES}]{{3,}}")
_MOST_ZERO_WIDTH = 8
"""Zero-width spaces may separate words of Thai or Khmer, or come along with a copied line; many in Latin text hide something."""

_OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")
_CONTROLS = re.compile("[\ufff9-\ufffb\u2061-\u2064\u206a-\u206f\u180e\U000e0000-\U000e0fff]")
_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,8}\U000e007f")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}")

_MARKERS = re.compile(
    r"<\|\s*(?:im_start|im_end|im_sep|system|user|assistant|endoftext|end_of_text|begin_of_text|start_header_id"
    r"|end_header_id|eot_id|eom_id|python_tag|end_of_turn)\s*\|>"
    r"|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<\uff5c[^\uff5c>]{1,40}\uff5c>",
    re.IGNORECASE,
)

_FETCHER = re.compile(r"\b(?:curl|wget)\b[^\n]*", re.IGNORECASE)
_SENSITIVE = r"[A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSW(?:OR)?D|CREDENTIAL|PRIVATE|COOKIE)[A-Z0-9_]*"
_VARIABLE = re.compile(rf"\$\{{?{_SENSITIVE}\b|%{_SENSITIVE}%|\$env:{_SENSITIVE}\b", re.IGNORECASE)
_OUTWARD = re.compile(
    r"\$\((?:cat|env|printenv|base64|history|tar|cut)\b|`(?:cat|env|printenv|base64|history|tar)\b"
    r"|(?:^|\s)(?:-d|--data\S*|-F|--form|-T|--upload-file|--post-file)[\s=]*['\"]?(?:[\w.-]+=)?@?\S*"
    r"(?:\.env\b|\.ssh/|id_rsa|id_ed25519|/etc/(?:passwd|shadow)|\.aws/|\.netrc|\.vault_key|core\.db)"
)
_PIPED = re.compile(
    r"\b(?:env|printenv|cat\s+\S*(?:\.env|\.ssh/|id_rsa|\.netrc|\.aws/))\b[^\n|]*\|[^\n]*\b(?:curl|wget)\b", re.I
)
_SENDS_HEADER = re.compile(r"(?:^|\s)(?:-H|--header|-u|--user)[\s=]*['\"][^'\"\n]*$|(?:^|\s)(?:-u|--user)[\s=]+\S*$")


def find_problem(text: str) -> str | None:
    """What is wrong with the text, as the end of a sentence ("it holds ..."); None for text that may be kept."""
    return _hidden(text) or _markup(text) or _sends_out(text)


def require_clean(text: str) -> None:
    """InvalidInput, with what to leave out, when the text may not go into memory."""
    if problem := find_problem(text):
        raise InvalidInput(f"This text is not kept in memory: it holds {problem}. Leave that out and write it again.")


def disarmed(text: str) -> str:
    """The text with what `find_problem` objects to taken out, for records of what was said, which must not be lost for it."""
    if find_problem(text) is None:
        return text
    text = _CONTROLS.sub("", _OVERRIDES.sub("", text))
    text = re.sub(f"[{_JOINERS}{_MARKS}{_SPACES}\ufe00-\ufe0f]", "", text)
    text = _MARKERS.sub("[chat marker]", text)
    return "\n".join("[command left out]" if _sends_out(line) else line for line in text.split("\n"))


def _hidden(text: str) -> str | None:
    if text.isascii():
        return None
    rest = _FLAG.sub("", text)
    if _CONTROLS.search(rest):
        return "invisible control characters"
    if (found := _OVERRIDES.search(rest)) and not _isolates_rtl(rest, found.start()):
        return "characters that override the direction of writing"
    if _INVISIBLE_RUN.search(rest) or _SELECTORS.search(rest):
        return "a run of invisible characters"
    zero_width = sum(rest.count(mark) for mark in "\u200b\u2060\ufeff") - rest.startswith("\ufeff")
    if zero_width > _MOST_ZERO_WIDTH and not re.search("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]", rest):
        return "many invisible spaces"
    return "an invisible character inside a word" if _splits_latin(rest) else None


def _isolates_rtl(text: str, start: int) -> bool:
    """Whether every direction control belongs to a balanced isolate or embedding of a text that has right-to-left letters."""
    if any(mark in text for mark in "\u202d\u202e"):
        return False
    has_rtl = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)
    opened = sum(text.count(mark) for mark in "\u202a\u202b\u2066\u2067\u2068")
    return has_rtl and opened == text.count("\u202c") + text.count("\u2069")


def _splits_latin(text: str) -> bool:
    """Whether a joiner stands between two Latin letters, where it changes nothing that a person sees. Twice is no accident."""
    return len(re.findall(f"[A-Za-z][{_JOINERS}\u200b\u2060\ufeff][A-Za-z]", text)) >= 2


def _markup(text: str) -> str | None:
    return "markers of a chat template" if _MARKERS.search(text) else None


def _sends_out(text: str) -> str | None:
    for match in _FETCHER.finditer(text):
        command = match[0]
        for variable in _VARIABLE.finditer(command):
            # A token in a header is how a service is called; one in the address or the body leaves with the request.
            if not _SENDS_HEADER.search(command[: variable.start()]):
                return "a command that sends a secret to an address"
        if _OUTWARD.search(command):
            return "a command that sends files or variables to an address"
    return "a command that sends files or variables to an address" if _PIPED.search(text) else None
