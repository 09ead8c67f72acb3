"""What is printed: a line of JSON, or text of which a terminal obeys nothing. Knows nothing of what it says."""

import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
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


def without_log() -> None:
    """Write no log lines: what they say this command says itself."""
    logging.getLogger("mcp_acl").addHandler(logging.NullHandler())


def give_up_output(error: OSError) -> None:
    """Say that output cannot be written, unless who read it has left, and drop what is still to be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        with suppress(OSError):
            print_lines(f"error: output cannot be written: {(error.strerror or str(error)).lower()}", err=True)


def printable(text: str) -> str:
    """The text on one line, without what a terminal would obey."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
