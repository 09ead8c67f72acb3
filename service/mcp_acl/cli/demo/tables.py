"""The demo's story as tables for people. Decides nothing and computes nothing but medians."""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import TextIOWrapper
from itertools import combinations
from statistics import median, quantiles
from typing import Final, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mcp_acl.cli.demo.story import CALLS, LISTS, PRINCIPALS, Outcome, Story
from mcp_acl.cli.printing import printable
from mcp_acl.cli.showing import IN_WORDS, PlainConsole
from mcp_acl.domain import Json, Reason

_PIPED_WIDTH: Final = 120
_LONGEST_CALL: Final = max(len(call.text) for call in CALLS)
_EXCERPT: Final = 48
_SHORTEST_EXCERPT: Final = 24
"""Columns of a server's answer: where there is not even room for these, it is left out."""

_EVERYONE: Final = "everyone"
_WHO: Final = max(len(who) for who in (_EVERYONE, *(", ".join(some) for some in combinations(PRINCIPALS, 2))))
_TITLES: Final[Mapping[str, str]] = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resource templates",
}


def console_for_people() -> Console:
    """A console that is as wide as its terminal or as `COLUMNS` says, and wide enough for everything where neither does.

    A sign that the terminal's encoding lacks becomes a question mark.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = PlainConsole(highlight=False)
    says = console.is_terminal or "COLUMNS" in os.environ
    return console if says else PlainConsole(highlight=False, width=_PIPED_WIDTH)


def show(story: Story, console: Console) -> None:
    """Print everything."""
    marks = _Marks(console)
    counts = ", ".join(f"{len(names)} {_TITLES[method]}" for method, names in story.existing.items())
    console.print(f"[bold]The MCP project's server, everything[/]: {counts}")
    console.print(f"[bold]mcp-acl[/] decides, over gRPC, by policy revision {story.revision}")
    console.print("", _sights(story, marks), "")
    console.print(_calls(story, marks, console.width), "")
    console.print(_heading("And why"))
    for call in CALLS:
        console.print(Text(call.text, "bold"))
        console.print(_indented(_reasons([one for one in story.outcomes if one.call is call], marks)))
    console.print()
    console.print(_heading("What a denied client gets"))
    for outcome in _denials(story):
        console.print(Text(f"{outcome.principal}, {outcome.call.text}: HTTP {outcome.exchange.status}", "dim"))
        console.print(_indented(Text(json.dumps(outcome.exchange.reply, ensure_ascii=False))))
    console.print("", _timings(story))


class _Marks:
    """Yes and no, in signs the console can print."""

    def __init__(self, console: Console) -> None:
        signs = ("✓", "·", "✗") if console.encoding.startswith("utf") else ("yes", "-", "no")
        self.seen = Text(signs[0], "green")
        self.hidden = Text(signs[1], "dim")
        self.denied = Text(signs[2], "red")


def _heading(title: str) -> Text:
    return Text(title, "bold underline")


def _indented(what: Table | Text) -> Padding:
    return Padding(what, (0, 0, 0, 2), expand=False)


def _sights(story: Story, marks: _Marks) -> Table:
    table = _by_principal("Who sees what")
    for method in LISTS:
        names = story.existing[method]
        seen = [story.seen[principal][method] for principal in PRINCIPALS]
        counts = [f"[bold]{len(one)}[/] of {len(names)}" for one in seen]
        table.add_row(f"[bold]{_TITLES[method]}[/]", *counts)
        for name in names:
            table.add_row(Text("  " + printable(name)), *(marks.seen if name in one else marks.hidden for one in seen))
        table.add_section()
    return table


def _calls(story: Story, marks: _Marks, width: int) -> Table:
    """With the server's answers where there is room for them beside the calls."""
    table = _by_principal("Who may call what")
    room = min(_EXCERPT, width - _LONGEST_CALL - sum(len(principal) + 3 for principal in PRINCIPALS) - 3)
    if room >= _SHORTEST_EXCERPT:
        table.add_column("the server's answer", style="dim", overflow="ellipsis", no_wrap=True, max_width=room)
    for call in CALLS:
        outcomes = [one for one in story.outcomes if one.call is call]
        answer = next((_excerpt(one.exchange.reply) for one in outcomes if one.exchange.allowed), "")
        allowed = [marks.seen if one.exchange.allowed else marks.denied for one in outcomes]
        table.add_row(Text(call.text), *[*allowed, Text(printable(answer))][: len(table.columns) - 1])
    return table


def _by_principal(title: str) -> Table:
    table = _table(title)
    table.add_column("", overflow="fold")
    for principal in PRINCIPALS:
        table.add_column(principal, justify="center", no_wrap=True, min_width=len(principal))
    return table


def _table(title: str) -> Table:
    """Without a frame, so that the longest name fits into 80 columns."""
    return Table(title=_heading(title), title_justify="left", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)


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


def _reasons(outcomes: Sequence[Outcome], marks: _Marks) -> Table:
    """Why one call was answered as it was. A rule's place goes to a line of its own where there is no room beside it."""
    table = Table.grid(padding=(0, 2))
    table.add_column(width=len(marks.seen) + 1 + _WHO)
    table.add_column()
    for reason, principals in _grouped(outcomes).items():
        mark = marks.seen if reason.allowed else marks.denied
        who = _EVERYONE if len(principals) == len(PRINCIPALS) else ", ".join(principals)
        table.add_row(Text.assemble(mark, " ", who), reason.text)
    return table


class _Reason(NamedTuple):
    """Why a call was answered as it was: each rule that decided with its place, or else a sentence."""

    allowed: bool
    code: str
    because: tuple[tuple[str, str], ...]

    @property
    def text(self) -> Text:
        lines = (Text.assemble(what, "  ", (where, "dim")) for what, where in self.because)
        return Text(f"{self.code}: ").append(Text("\n").join(lines))


def _grouped(outcomes: Iterable[Outcome]) -> Mapping[_Reason, Sequence[str]]:
    """The principals that share a reason, in their order."""
    groups: defaultdict[_Reason, list[str]] = defaultdict(list)
    for outcome in outcomes:
        verdict = outcome.exchange.verdict
        rules = tuple((rule.rule, printable(f"{rule.file}:{rule.line}")) for rule in verdict.rules)
        because = rules or ((printable(verdict.message) or IN_WORDS[Reason(verdict.reason)], ""),)
        groups[_Reason(outcome.exchange.allowed, verdict.reason, because)].append(outcome.principal)
    return groups


def _denials(story: Story) -> Iterator[Outcome]:
    """The first denial of each reason."""
    reasons: set[str] = set()
    for outcome in story.outcomes:
        reason = outcome.exchange.verdict.reason
        if not outcome.exchange.allowed and reason not in reasons:
            reasons.add(reason)
            yield outcome


def _timings(story: Story) -> Table:
    table = _table("How long it took")
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
    verdict = outcome.exchange.verdict
    rules: Sequence[Json] = [f"{rule} {rule.file}:{rule.line}" for rule in verdict.rules]
    return {
        "principal": outcome.principal,
        "call": outcome.call.text,
        "decision": "allow" if outcome.exchange.allowed else "deny",
        "reason": verdict.reason,
        "rules": rules,
        "reply": outcome.exchange.reply,
    }
