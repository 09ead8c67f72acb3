"""The demo's tables at the widths of terminals: nothing that matters is cut, nothing is wider than the window."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from mcp_acl.cli.demo.gateway import Exchange, Timings
from mcp_acl.cli.demo.story import CALLS, PRINCIPALS, Outcome, Story
from mcp_acl.cli.demo.tables import console_for_people, show
from mcp_acl.client import Question, Verdict
from mcp_acl.domain import Denial, RuleRef

NAMES = {
    "tools/list": ["trigger-long-running-operation"],
    "prompts/list": ["completable-prompt"],
    "resources/list": ["demo://resource/static/document/instructions.md"],
    "resources/templates/list": ["demo://resource/dynamic/text/{resourceId}"],
}
ANSWER = "what the server says is not short"
QUESTION = Question("everything", b"{}")
GRANTED = Verdict(
    QUESTION,
    allowed=True,
    reason="granted",
    rules=(RuleRef("everything", "analysts-use-the-data-tools", "everything.yaml", 30),),
)
DENIED = Verdict(
    QUESTION,
    allowed=False,
    reason="denied_by_rule",
    rules=(
        RuleRef("everything", "nobody-reads-the-environment", "everything.yaml", 50),
        RuleRef("everything", "no-fetching-from-the-network", "everything.yaml", 56),
    ),
    denial=Denial(200, (), b""),
)


def outcomes() -> Iterator[Outcome]:
    for principal in PRINCIPALS:
        for call in CALLS:
            allowed = principal in call.allowed
            reply = {"result": {"text": ANSWER}} if allowed else {"error": {"message": "no"}}
            yield Outcome(principal, call, Exchange(GRANTED if allowed else DENIED, 200, reply))


STORY = Story(
    existing=dict(NAMES),
    seen={principal: dict(NAMES) for principal in PRINCIPALS},
    outcomes=list(outcomes()),
    timings=Timings([0.001, 0.002], [0.001, 0.002], [0.001, 0.002]),
    revision="0123456789abcdef+git.0123456789ab",
)


def shown(width: int, story: Story = STORY) -> list[str]:
    out = StringIO()
    show(story, Console(file=out, width=width))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_line_is_wider_than_the_window(width: int) -> None:
    assert [] == [line for line in shown(width) if len(line.rstrip()) > width]


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_every_call_and_every_principal_stands_whole(width: int) -> None:
    lines = shown(width)
    for call in CALLS:
        assert any(line.startswith(f"{call.text} ") for line in lines), call.text
    assert 2 == sum(set(PRINCIPALS) <= set(line.split()) for line in lines)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_every_name_rule_and_place_stands_whole(width: int) -> None:
    words = {word for line in shown(width) for word in line.split()}
    names = {name for method in NAMES.values() for name in method}
    rules = {rule.rule for rule in (*GRANTED.rules, *DENIED.rules)}
    assert names | rules | {"everything.yaml:30", "everything.yaml:50", "everything.yaml:56"} <= words


@pytest.mark.parametrize(("width", "there_is_room"), [(60, False), (80, False), (100, True), (120, True)])
def test_answers_are_shown_where_there_is_room(width: int, there_is_room: bool) -> None:
    assert there_is_room == (ANSWER in "\n".join(shown(width)))


def test_nothing_commands_the_terminal() -> None:
    names: dict[str, Sequence[str]] = {method: ["a\x1b[2J"] for method in NAMES}
    rule = RuleRef("p", "r", "a\x1b.yaml", 1)
    verdict = Verdict(QUESTION, allowed=True, reason="granted", rules=(rule,))
    story = replace(STORY, existing=names, seen=dict.fromkeys(PRINCIPALS, names))
    story.outcomes = [
        replace(one, exchange=Exchange(verdict, 200, {"result": {"text": "\x1b[31m"}})) for one in STORY.outcomes
    ]
    text = shown(120, story)
    assert "\x1b" not in "".join(text)
    assert "a\\u001b.yaml:1" in "".join(text)


@pytest.mark.parametrize(("columns", "width"), [(None, 120), ("70", 70)])
def test_pipe_is_as_wide_as_it_is_told(columns: str | None, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    assert width == console_for_people().width
