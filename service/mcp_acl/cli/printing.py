"""What is printed: a line of JSON, or text of which a terminal obeys nothing. Knows nothing of what it says."""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec
import typer

Record: TypeAlias = Mapping[str, object]


def print_record(record: Record) -> None:
    """One line of JSON."""
    typer.echo(msgspec.json.encode(record))


def print_lines(text: str, *, err: bool = False) -> None:
    """A text of several lines, each of them printable."""
    typer.echo("\n".join(map(printable, text.split("\n"))), err=err)


def printable(text: str) -> str:
    """The text on one line, without what a terminal would obey."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
