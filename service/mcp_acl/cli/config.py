"""`mcp-acl config`: what is in force, where each value came from, and a file to begin with. Loads no policies."""

import json
import re
import textwrap
from pathlib import Path
from typing import Annotated, Final

import typer

from mcp_acl.cli.flags import with_settings
from mcp_acl.cli.inputs import AsJson
from mcp_acl.cli.printing import print_lines, print_record
from mcp_acl.policy.reader import resolve
from mcp_acl.runtime.loading import Loaded
from mcp_acl.runtime.rows import ROWS

_WIDTH: Final = 100
_BARE: Final = re.compile(r"[\w/.]([\w/.:@+-]*[\w/.])?")


def file_example() -> str:
    """A settings file that says everything: each setting with its meaning and its default, or an example where it has none."""
    parts = ["# Settings of mcp-acl. A flag goes before a variable, a variable before this file.\n"]
    for row in ROWS.values():
        meaning = textwrap.fill(row.meaning, _WIDTH, initial_indent="# ", subsequent_indent="# ")
        line = f"{'' if row.required else '# '}{row.name}: {as_yaml(row.example)}"
        parts.append(f"{meaning}\n# {row.flag}, {row.variable}\n{line}\n")
    return "\n".join(parts)


def _print_example(wanted: bool) -> None:
    if wanted:
        typer.echo(file_example(), nl=False)
        raise typer.Exit


@with_settings
def command(
    loaded: Loaded,
    as_json: AsJson = False,
    _example: Annotated[
        bool,
        typer.Option(
            "--file-example",
            help="Print a file with every setting, its meaning and its default.",
            callback=_print_example,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Print the settings that are in force, and where each came from: a flag, a variable, a file or its default."""
    values = {name: getattr(loaded.settings, name) for name in loaded.origins}
    if as_json:
        found = {name: {"value": _plain(values[name]), "from": str(origin)} for name, origin in loaded.origins.items()}
        print_record({"settings": found})
        return
    rows = [(name, as_yaml(values[name]), str(origin)) for name, origin in loaded.origins.items()]
    names, texts = (max(len(row[column]) for row in rows) for column in range(2))
    print_lines("\n".join(f"{name:<{names}}  {value:<{texts}}  {origin}" for name, value, origin in rows))


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def as_yaml(value: object) -> str:
    """A value as a file would say it, text bare where it reads as itself; `-` where there is none."""
    value = _plain(value)
    if value in (None, "", ()):
        return "-"
    if isinstance(value, str) and _BARE.fullmatch(value) and resolve(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)
