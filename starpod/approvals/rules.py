"""Which tool calls wait for a person. Pure functions.

An entry of the list is the name of a tool (a `*` at its end stands for any rest), or `Bash: ` and the beginning of a command's argv,
e.g. `Bash: git push`. Such an entry holds for each command of a line. A line that cannot be read for sure, or that hands a command to
another program (`sh -c`, `eval`, `xargs`), waits as well. A program that a command starts by itself is out of sight: to see everything,
list `Bash`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SHELL = "Bash"
# They run what their arguments say; what that is, is their affair.
_CARRIERS = """
    eval exec command builtin source . alias trap coproc env sudo doas su ssh sh bash dash zsh ksh fish busybox nohup nice ionice
    timeout time setsid stdbuf xargs parallel find watch script chroot unshare nsenter
"""
_RESERVED = "if then elif else fi while until do done for in case esac select function { } !"
CARRIERS = frozenset(_CARRIERS.split())
RESERVED = frozenset(_RESERVED.split())
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*(\[[^]]*\])?\+?=.*", re.DOTALL)
# Words that the shell turns into others before it runs the command.
EXPANDED = re.compile(r"[$`*?\[\]{}~]")


def waits(entries: Sequence[str], tool_name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a call of this tool with these arguments waits for a person."""
    prefixes: list[list[str]] = []
    for entry in entries:
        name, colon, prefix = entry.partition(":")
        name = name.strip()
        if not colon and (tool_name == name or (name.endswith("*") and tool_name.startswith(name[:-1]))):
            return True
        if colon and tool_name == name == SHELL:
            prefixes.append(prefix.split())
    if not prefixes:
        return False
    try:
        commands = list(commands_of(str(arguments.get("command", ""))))
    except ValueError:
        return True
    return any(_matches(argv, prefix) for argv in commands for prefix in prefixes)


def subject_of(tool_name: str, arguments: Mapping[str, Any]) -> str:
    """What an answer about this call is remembered for: the exact command of Bash, otherwise the tool whatever its arguments."""
    return str(arguments.get("command", "")) if tool_name == SHELL else ""


def commands_of(line: str) -> Iterator[list[str]]:
    """The argv of each simple command in a line of shell. ValueError when it cannot be told for sure."""
    if "`" in line or "$(" in line or "<(" in line or ">(" in line:
        raise ValueError("a command inside a command")
    # A newline ends a command; `shlex` would take it for a space.
    lexer = shlex.shlex(line.replace("\\\n", "").replace("\n", " ; "), posix=True, punctuation_chars=True)
    lexer.commenters = ""
    lexer.whitespace_split = True
    argv: list[str] = []
    is_target = False
    for token in [*lexer, ";"]:
        if token and all(character in "();<>|&" for character in token):
            is_target = "<" in token or ">" in token
            if is_target:
                argv = argv[:-1] if argv and argv[-1].isdigit() else argv
                continue
            if argv:
                yield argv
            argv = []
        elif is_target:
            is_target = False
        elif argv or not (token in RESERVED or ASSIGNMENT.fullmatch(token)):
            argv.append(token)


def _matches(argv: Sequence[str], prefix: Sequence[str]) -> bool:
    program = argv[0].rpartition("/")[2]
    if program in CARRIERS:
        return True
    for position, expected in enumerate(prefix):
        if position == len(argv):
            return False
        if EXPANDED.search(argv[position]):
            return True
        if expected != (argv[position] if position else program):
            return False
    return True
