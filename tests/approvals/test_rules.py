from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starpod.approvals.rules import subject_of, waits


@pytest.mark.parametrize(
    ("entries", "tool", "expected"),
    [
        ([], "FileDelete", False),
        (["FileDelete"], "FileDelete", True),
        (["FileDelete"], "FileDeleteAll", False),
        (["FileDelete"], "Bash", False),
        (["github_*"], "github_push", True),
        (["github_*"], "gitlab_push", False),
        (["*"], "Read", True),
        (["Bash"], "Bash", True),
        (["Bash: rm"], "BashStop", False),
    ],
)
def test_a_tool_waits_when_it_is_listed(entries: list[str], tool: str, expected: bool) -> None:
    assert waits(entries, tool, {"command": "ls"}) is expected


@pytest.mark.parametrize(
    "command",
    [
        "git push",
        "git push origin main",
        "  git   push --force",
        "/usr/bin/git push",
        "cd project && git push",
        "true; git push",
        "true | git push",
        "true || git push",
        "sleep 1 & git push",
        "echo a\ngit push",
        "git \\\n push",
        "(git push)",
        "{ git push; }",
        "if true; then git push; fi",
        "for x in a b; do git push; done",
        "! git push",
        "case x in x) git push;; esac",
        "A=b git push",
        "A='b c' B=d git push",
        ">log git push",
        "2>/dev/null git push",
        "git push >log 2>&1",
        "g'i't pu\"sh\"",
        "\\git push",
        # What cannot be told for sure waits, too.
        "$(echo git) push",
        "`echo git` push",
        "$GIT push",
        "git $WHAT",
        "git p*sh",
        "{git,push}",
        "eval 'git push'",
        "sh -c 'git push'",
        "/bin/bash -c 'git push'",
        "env git push",
        "sudo git push",
        "echo push | xargs git",
        "timeout 5 git push",
        "find . -exec git push ;",
        "echo 'unfinished",
        "cat <(git push)",
        "echo # it's\ngit push",
    ],
)
def test_a_command_waits_wherever_it_stands_in_the_line(command: str) -> None:
    assert waits(["Bash: git push"], "Bash", {"command": command})


@pytest.mark.parametrize(
    "command",
    [
        "git pull",
        "git pushed",
        "git",
        "gitpush",
        "echo git push",
        "echo 'git push'",
        "ls; git status && cat file | head -3 > out",
        "A=b make test 2>&1",
        "grep -r 'git push' . || true",
        "for x in 1 2; do echo $x; done",
        "",
    ],
)
def test_other_commands_do_not_wait(command: str) -> None:
    assert not waits(["Bash: git push"], "Bash", {"command": command})


def test_each_of_several_prefixes_counts() -> None:
    entries = ["Bash: git push", "Bash: rm -r"]
    assert waits(entries, "Bash", {"command": "rm -r x"})
    assert not waits(entries, "Bash", {"command": "rm x"})
    assert waits(entries, "Bash", {"command": 'rm "-r" x'})


@given(st.text(max_size=80))
def test_no_text_breaks_the_reading(command: str) -> None:
    waits(["Bash: git push"], "Bash", {"command": command})


@given(
    st.lists(
        st.sampled_from(["git push", "ls", ";", "&&", "|", "(", ")", "\n", "x=1", ">f", "'a b'", "do"]), max_size=8
    )
)
def test_a_listed_command_between_operators_is_never_missed(parts: list[str]) -> None:
    assert waits(["Bash: git push"], "Bash", {"command": " ".join([*parts, ";", "git push", ";", *parts])})


def test_an_answer_is_remembered_for_the_command_or_for_the_whole_tool() -> None:
    assert subject_of("Bash", {"command": "git push"}) == "git push"
    assert subject_of("FileDelete", {"path": "x"}) == ""
