"""The demo's story as tables for people. Decides nothing and computes nothing but medians."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import TextIOWrapper
from statistics import median, quantiles
from typing import Final, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mcp_acl.cli.demo.story import CALLS, LISTS, PRINCIPALS, Outcome, Story
from mcp_acl.cli.showing import IN_WORDS
from mcp_acl.domain import Json, Reason

_PIPED_WIDTH: Final = 140
_TITLES: Final[Mapping[str, str]] = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resource templates",
}


def console_for_people() -> Console:
    """A console that is as wide as its terminal, and wide enough for a rule's place where there is none.

    A sign that the terminal's encoding lacks becomes a question mark.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PIPED_WIDTH)


def show(story: Story, console: Console) -> None:
    """Print everything."""
    marks = _Marks(console)
    counts = ", ".join(f"{len(names)} {_TITLES[method]}" for method, names in story.existing.items())
    console.print(f"[bold]The MCP project's server, everything[/]: {counts}", soft_wrap=True)
    console.print(f"[bold]mcp-acl[/] decides, over gRPC, by policy revision {story.revision}")
    console.print("", _sights(story, marks), "")
    console.print(_calls(story, marks), "")
    console.print(_reasons(story, marks), "")
    console.print(Text("What a denied client gets", "bold"))
    for outcome in _denials(story):
        console.print(Text(f"  {outcome.principal}, {outcome.call.text}: HTTP {outcome.exchange.status}", "dim"))
        console.print(Text("  " + json.dumps(outcome.exchange.reply, ensure_ascii=False)), soft_wrap=True)
    console.print("", _timings(story))


class _Marks:
    """Yes and no, in signs the console can print."""

    def __init__(self, console: Console) -> None:
        signs = ("✓", "·", "✗") if console.encoding.startswith("utf") else ("yes", "-", "no")
        self.seen = Text(signs[0], "green")
        self.hidden = Text(signs[1], "dim")
        self.denied = Text(signs[2], "red")


def _sights(story: Story, marks: _Marks) -> Table:
    table = _table("Who sees what", "")
    for method in LISTS:
        names = story.existing[method]
        seen = [story.seen[principal][method] for principal in PRINCIPALS]
        counts = [f"[bold]{len(one)}[/] of {len(names)}" for one in seen]
        table.add_row(f"[bold]{_TITLES[method]}[/]", *counts)
        for name in names:
            table.add_row(Text("  " + name), *(marks.seen if name in one else marks.hidden for one in seen))
        table.add_section()
    return table


def _calls(story: Story, marks: _Marks) -> Table:
    table = _table("Who may call what", "")
    table.add_column("the server's answer", style="dim", overflow="ellipsis", no_wrap=True, max_width=48)
    for call in CALLS:
        outcomes = [one for one in story.outcomes if one.call is call]
        answer = next((_excerpt(one.exchange.reply) for one in outcomes if one.exchange.allowed), "")
        allowed = (marks.seen if one.exchange.allowed else marks.denied for one in outcomes)
        table.add_row(Text(call.text), *allowed, Text(answer))
    return table


def _table(title: str, first: str) -> Table:
    table = Table(title=f"[bold]{title}[/]", title_justify="left", box=SIMPLE_HEAD)
    table.add_column(first, overflow="fold")
    for principal in PRINCIPALS:
        table.add_column(principal, justify="center")
    return table


def _excerpt(reply: Json) -> str:
    """The first text in an answer, or else what stands for it, on one line."""
    found = dict(reversed([*_texts(reply)]))
    return " ".join(next((found[key] for key in ("text", "blob", "uri") if key in found), "").split())


def _texts(value: Json) -> Iterator[tuple[str, str]]:
    """Every member that is a text, with its key."""
    if isinstance(value, Mapping):
        for key, member in value.items():
            if isinstance(member, str):
                yield key, member
            yield from _texts(member)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _texts(item)


def _reasons(story: Story, marks: _Marks) -> Table:
    table = Table(title="[bold]And why[/]", title_justify="left", box=SIMPLE_HEAD)
    for column in ("", "reason and rule", "where it stands"):
        table.add_column(column, overflow="fold")
    for call in CALLS:
        table.add_row(Text(call.text, "bold"))
        for reason, principals in _grouped(one for one in story.outcomes if one.call is call).items():
            mark = marks.seen if reason.allowed else marks.denied
            who = Text.assemble("  ", mark, " ", ", ".join(principals))
            table.add_row(who, Text(f"{reason.code}: {reason.what}"), Text(reason.where))
    return table


class _Reason(NamedTuple):
    """Why a call was answered as it was."""

    allowed: bool
    code: str
    what: str
    where: str


def _grouped(outcomes: Iterable[Outcome]) -> Mapping[_Reason, Sequence[str]]:
    """The principals that share a reason, in their order."""
    groups: defaultdict[_Reason, list[str]] = defaultdict(list)
    for outcome in outcomes:
        decision = outcome.exchange.decision
        names = "\n".join(rule.rule for rule in decision.rules)
        places = "\n".join(f"{rule.file}:{rule.line}" for rule in decision.rules)
        what = names or decision.message or IN_WORDS[Reason(decision.reason)]
        groups[_Reason(outcome.exchange.allowed, decision.reason, what, places)].append(outcome.principal)
    return groups


def _denials(story: Story) -> Iterator[Outcome]:
    """The first denial of each reason."""
    reasons: set[str] = set()
    for outcome in story.outcomes:
        reason = outcome.exchange.decision.reason
        if not outcome.exchange.allowed and reason not in reasons:
            reasons.add(reason)
            yield outcome


def _timings(story: Story) -> Table:
    table = Table(title="[bold]How long it took[/]", title_justify="left", box=SIMPLE_HEAD)
    for column in ("", "times", "median", "9 of 10 within"):
        table.add_column(column, justify="right" if column else "left")
    for label, seconds in (
        ("Check over gRPC", story.timings.check),
        ("FilterResponse over gRPC", story.timings.filter),
        ("the MCP server itself", story.timings.server),
    ):
        if len(seconds) > 1:
            table.add_row(label, str(len(seconds)), _ms(median(seconds)), _ms(quantiles(seconds, n=10)[-1]))
    return table


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def as_json(story: Story) -> Mapping[str, Json]:
    """The same for programs."""
    return {
        "revision": story.revision,
        "existing": story.existing,
        "seen": story.seen,
        "calls": [_call_as_json(outcome) for outcome in story.outcomes],
        "surprises": list(story.surprises),
    }


def _call_as_json(outcome: Outcome) -> Mapping[str, Json]:
    decision = outcome.exchange.decision
    rules: Sequence[Json] = [f"{rule.policy}/{rule.rule} {rule.file}:{rule.line}" for rule in decision.rules]
    return {
        "principal": outcome.principal,
        "call": outcome.call.text,
        "decision": "allow" if outcome.exchange.allowed else "deny",
        "reason": decision.reason,
        "rules": rules,
        "reply": outcome.exchange.reply,
    }
