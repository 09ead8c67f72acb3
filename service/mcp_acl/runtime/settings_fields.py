"""What settings are made of: kinds of values that several groups of them share, and what does not go together."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, NamedTuple, TypeAlias

from pydantic import AfterValidator, Field

from mcp_acl.runtime.address import parse_address

MAX_SECONDS: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Metavar:
    """What stands for a value of this type where a flag is shown."""

    text: str


class Conflict(NamedTuple):
    """Settings that do not go together: the one to name first, and what to do."""

    fields: tuple[str, ...]
    text: str


def _readable(text: str) -> str:
    """An address that can be read, whoever reaches it. `AddressError` is a ValueError."""
    if text:
        parse_address(text, insecure=True)
    return text


def _name(text: str) -> str:
    if not text or text != text.strip():
        raise ValueError("a name must not be empty, nor begin or end with a space")
    return text


File: TypeAlias = Annotated[Path | None, Metavar("FILE")]
Seconds: TypeAlias = Annotated[float, Metavar("SECONDS"), Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]
Share: TypeAlias = Annotated[float, Metavar("SHARE"), Field(ge=0, le=1, allow_inf_nan=False)]
Listen: TypeAlias = Annotated[str, Metavar("ADDR"), AfterValidator(_readable)]
Names: TypeAlias = Annotated[tuple[Annotated[str, AfterValidator(_name)], ...], Metavar("NAME")]
