"""`mcp-acl memory`: what a service remembers in its store, and what an operator says to it."""

import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mcp_acl.cli.exits import InputError
from mcp_acl.cli.inputs import AsJson, text_of
from mcp_acl.cli.printing import print_lines, print_record, printable
from mcp_acl.runtime.memory import StoreError
from mcp_acl.runtime.memory.review import Review, Seen, reviewing


class Action(StrEnum):
    """What to do."""

    SHOW = "show"
    ACCEPT = "accept"
    FORGET = "forget"


def command(
    action: Annotated[Action, typer.Argument(help="`show`, `accept SERVER TOOL`, `forget SERVER [TOOL]`.")],
    store: Annotated[Path, typer.Option(metavar="FILE", help="The service's `store`; it may be running.")],
    server: Annotated[str | None, typer.Argument(show_default=False, help="The server's id.")] = None,
    tool: Annotated[str | None, typer.Argument(show_default=False, help="The tool's name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what is remembered of tasks and tools; accept a tool whose definition has changed, as it was seen last; forget tools.

    Conditions do not know the annotations of a tool that has changed, until it is accepted, or is forgotten and listed again.
    """
    try:
        with reviewing(store) as review:
            if action is Action.SHOW:
                _no_names(server)
                _show(review, as_json=as_json)
            elif action is Action.ACCEPT:
                _accept(review, _name("SERVER", server), _name("TOOL", tool), as_json=as_json)
            else:
                _forget(review, _name("SERVER", server), tool, as_json=as_json)
    except StoreError as error:
        raise InputError(f"--store: `{printable(str(store))}`: {error}") from None


def _no_names(server: str | None) -> None:
    if server is not None:
        raise InputError("`show` shows everything; leave the names out")


def _name(what: str, given: str | None) -> str:
    if not given:
        raise InputError(f"{what}: it is missing")
    return text_of(what, given)


def _show(review: Review, *, as_json: bool) -> None:
    now = time.time()
    tasks, tools = review.tasks(now), review.tools(now)
    if as_json:
        print_record({"tasks": tasks, "tools": [_record(tool) for tool in tools]})
        return
    print_lines(f"{sum(tasks.values())} tasks, {len(tools)} tools")
    rows = [[printable(str(text)) for text in _record(tool).values()] for tool in tools]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print_lines("  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip())


def _record(tool: Seen) -> dict[str, str]:
    since = datetime.fromtimestamp(tool.since, UTC).isoformat(timespec="seconds")
    return {
        "server": tool.server,
        "tool": tool.name,
        "state": "changed" if tool.changed else "seen",
        "since": since.replace("+00:00", "Z"),
    }


def _accept(review: Review, server: str, tool: str, *, as_json: bool) -> None:
    if not review.accept(server, tool, time.time()):
        raise InputError(f"`{printable(server)}` has no tool `{printable(tool)}` that has changed")
    if as_json:
        print_record({"accepted": 1})
    else:
        print_lines(f"accepted `{printable(tool)}` of `{printable(server)}`")


def _forget(review: Review, server: str, tool: str | None, *, as_json: bool) -> None:
    count = review.forget(server, None if tool is None else _name("TOOL", tool))
    if not count:
        what = "no tool" if tool is None else f"no tool `{printable(tool)}`"
        raise InputError(f"of `{printable(server)}` {what} is remembered")
    if as_json:
        print_record({"forgotten": count})
    else:
        print_lines(f"forgot {count} {'tool' if count == 1 else 'tools'} of `{printable(server)}`")
