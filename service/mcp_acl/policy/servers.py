"""How messages of one server are treated beyond allow and deny: the settings that its policies say. Knows no files.

Several policies may govern a server and each may say what it likes: the safer value holds, so that neither the order of files nor one
more file ever makes a server less strict. Where none is safer, that of the first policy by id holds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

DENIED_CODE: Final = 403
"""JSON-RPC code of a denial by policy. Application-defined: outside −32768…−32000 (JSON-RPC 2.0 §5.1)."""

MAX_TTL_MS: Final = 60_000
"""How long, in milliseconds, a client may keep a response that depends on who asked (MCP 2026-07-28, caching)."""


class DenialStyle(StrEnum):
    """What a denied client is told: that it was denied, or what the server would say of something it does not have."""

    EXPLICIT = "explicit"
    HIDDEN = "hidden"


class ServerKind(StrEnum):
    """What a server is made with, so that a hidden denial looks like its own answer."""

    PYTHON = "python"
    TYPESCRIPT_1 = "typescript-1"
    TYPESCRIPT_2 = "typescript-2"


class LinkedResources(StrEnum):
    """What becomes of resources in a result that the principal may not read."""

    PASS = "pass"  # noqa: S105 - not a password
    STRIP = "strip"
    DENY = "deny"


class Wrapper(NamedTuple):
    """A tool that calls another: the argument that holds the inner name, and the one that holds its arguments, if any."""

    tool: str
    argument: str
    arguments: str = ""


class ServerInfo(NamedTuple):
    """What a server says it is (MCP, `serverInfo`): in MCP 2026-07-28 some put it into every result."""

    name: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What holds for one server. `linked_resources` None: strip if some rule keeps a resource from being read, else pass."""

    denials: DenialStyle = DenialStyle.EXPLICIT
    denial_code: int = DENIED_CODE
    kind: ServerKind = ServerKind.PYTHON
    json_responses: bool = False
    server_info: ServerInfo | None = None
    linked_resources: LinkedResources | None = None
    trust_annotations: bool = False
    wrappers: tuple[Wrapper, ...] = ()
    accept_batches: bool = False
    lenient_uris: bool = False
    drop_instructions: bool = False
    max_ttl_ms: int = MAX_TTL_MS


Said: TypeAlias = Mapping[str, Any]
"""Settings by name, as one policy says them."""


def combined(said: Sequence[Said]) -> ServerSettings:
    """What holds if several policies, in the order of their ids, say these."""
    names = dict.fromkeys(name for one in said for name in one)
    values = {name: _SAFER[name]([one[name] for one in said if name in one]) for name in names}
    return ServerSettings(**values)


def _first(values: Sequence[Any]) -> Any:
    return values[0]


def _strictest(order: type[StrEnum]) -> Callable[[Sequence[Any]], Any]:
    """The last by the order in which an enumeration lists its values."""
    ranks = {value: rank for rank, value in enumerate(order)}
    return lambda values: max(values, key=ranks.__getitem__)


def _every(values: Sequence[Sequence[Wrapper]]) -> tuple[Wrapper, ...]:
    return tuple(dict.fromkeys(wrapper for wrappers in values for wrapper in wrappers))


_SAFER: Final[Mapping[str, Callable[[Sequence[Any]], Any]]] = {
    "denials": _strictest(DenialStyle),
    "denial_code": _first,
    "kind": _first,
    "json_responses": _first,
    "server_info": _first,
    "linked_resources": _strictest(LinkedResources),
    "trust_annotations": all,
    "wrappers": _every,
    "accept_batches": all,
    "lenient_uris": all,
    "drop_instructions": any,
    "max_ttl_ms": min,
}
"""What of several values of a setting holds."""
