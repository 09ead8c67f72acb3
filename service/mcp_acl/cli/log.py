"""`mcp-acl log`: what a decision log says of a decision."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mcp_acl.cli.exits import Exit, InputError
from mcp_acl.cli.inputs import AsJson, text_of
from mcp_acl.cli.printing import print_lines, print_record, printable
from mcp_acl.runtime.decision_log import found_in


class Action(StrEnum):
    """What to do."""

    SHOW = "show"


def command(
    _action: Annotated[Action, typer.Argument(metavar="show", help="`show ID`.", show_default=False)],
    decision_id: Annotated[str, typer.Argument(metavar="ID", help="The decision's id, as a client was told it.")],
    log: Annotated[
        Path, typer.Option(metavar="FILE", help="The service's `decision_log`; older files beside it are read too.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show all that is recorded of a decision: what was decided, by which rules, and what became of the response.

    Ends with 1 if there is no such record.
    """
    try:
        records = list(found_in(log, text_of("ID", decision_id)))
    except OSError as error:
        raise InputError(f"--log: `{printable(str(log))}` cannot be read ({error.strerror})") from None
    if as_json:
        print_record({"id": decision_id, "records": records})
    else:
        print_lines("\n\n".join(map(_shown, records)) or f"there is no record of `{printable(decision_id)}`")
    raise typer.Exit(Exit.FINE if records else Exit.DENIED)


def _shown(record: dict[str, Any]) -> str:
    """A record as lines, without what it does not say."""
    rows = [(name, _text(value)) for name, value in record.items() if value not in ("", [], {}, None)]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{printable(name):<{width}}  {text}" for name, text in rows)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, dict):
        if {"policy", "rule"} <= value.keys():
            return printable(_rule(value))
        return ", ".join(f"{printable(str(name))}={_text(one)}" for name, one in value.items())
    return printable(str(value))


def _rule(value: dict[str, Any]) -> str:
    text = f"{value['policy']}/{value['rule']}"
    if "file" in value:
        return f"{text} ({value['file']}:{value.get('line')})"
    return f"{text}: {value.get('message')}"
