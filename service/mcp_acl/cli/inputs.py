"""What is given on the command line, read: `@FILE` or JSON in place, `K=V`, `K=JSON`. Knows no policy.

JSON is read by the strict reader and is never written anew, so that what is decided is what was given.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from mcp_acl.cli.exits import InputError
from mcp_acl.cli.printing import printable
from mcp_acl.domain import Json
from mcp_acl.mcp.message import parse_json
from mcp_acl.problems import MessageError


def directory_of(given: str | Path) -> Path:
    """A directory by its path. Raises InputError for an empty one, which would mean the current one."""
    if not str(given):
        raise InputError("a directory must not be empty; write `.` for the current one")
    return Path(given)


AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.", show_default=False)]

Policies: TypeAlias = Annotated[
    Path, typer.Option(metavar="DIR", parser=directory_of, help="Directory of policy files.")
]

_MOST: Final = 256 * 1024 * 1024
"""Bytes of one file that are read."""


def bytes_of(option: str, given: str) -> bytes:
    """The bytes of the file that `@FILE` names, or those of the text itself. Raises InputError."""
    if not given.startswith("@"):
        return os.fsencode(given)
    try:
        with Path(given[1:]).open("rb") as stream:
            content = stream.read(_MOST + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"{option}: `{_shown(given[1:])}` cannot be read: {why[:1].lower()}{why[1:]}") from None
    if len(content) > _MOST:
        raise InputError(f"{option}: `{_shown(given[1:])}` is larger than {_MOST} bytes")
    return content


def json_of(option: str, given: str) -> Json:
    """A JSON value, in place or of a file. Raises InputError."""
    try:
        return parse_json(bytes_of(option, given))
    except MessageError as error:
        hint = f"; write `@{_shown(given)}` to read that file" if _is_file(given) else ""
        raise InputError(f"{option}: {error.message.replace('the body', 'it', 1)}{hint}") from None


def _is_file(given: str) -> bool:
    try:
        return Path(given).is_file()
    except (OSError, ValueError):
        return False


def object_of(option: str, given: str) -> dict[str, Json]:
    """A JSON object, in place or of a file. Raises InputError."""
    value = json_of(option, given)
    if not isinstance(value, dict):
        raise InputError(f'{option}: it must be one JSON object: `{{"…": …}}`')
    return value


def text_of(option: str, given: str) -> str:
    """A text that can be written out again. Raises InputError for one that is not UTF-8."""
    try:
        given.encode()
    except UnicodeEncodeError:
        raise InputError(f"{option}: it is not UTF-8") from None
    return given


def pairs_of(option: str, given: Sequence[str]) -> list[tuple[str, str]]:
    """Each `K=V` as a pair, in order. Raises InputError for one without a key."""
    pairs: list[tuple[str, str]] = []
    for one in given:
        key, equals, value = text_of(option, one).partition("=")
        if not key or not equals:
            raise InputError(f"{option}: `{_shown(one)}` is not `KEY=VALUE`")
        pairs.append((key, value))
    return pairs


def facts_of(option: str, given: Sequence[str]) -> dict[str, Json]:
    """Each `K=JSON` by its key. Raises InputError, for a key that was given twice too."""
    found: dict[str, Json] = {}
    for key, value in pairs_of(option, given):
        if key in found:
            raise InputError(f"{option}: `{_shown(key)}` is given twice")
        found[key] = json_of(option, value)
    return found


def time_of(option: str, given: str) -> datetime:
    """A time with its zone (RFC 3339). Raises InputError."""
    try:
        time = datetime.fromisoformat(given)
        if time.tzinfo is not None:
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InputError(f"{option}: `{_shown(given)}` is not a time; write `2026-03-02T09:30:00Z`")


def _shown(text: str) -> str:
    return printable(text[:200])
