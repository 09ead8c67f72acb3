"""The `settings` of a policy file as they are written: the models of their keys. What they mean is said in `servers`."""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, StringConstraints
from pydantic_core import PydanticCustomError

from mcp_acl.policy.servers import (
    DENIED_CODE,
    MAX_TTL_MS,
    DenialStyle,
    LinkedResources,
    Said,
    ServerInfo,
    ServerKind,
    Wrapper,
)

STRICT: Final = ConfigDict(strict=True, extra="forbid", frozen=True)
"""Nothing is converted, no key is overlooked, nothing changes."""

MAX_WRAPPERS: Final = 100
_RESERVED: Final = range(-32768, -32000 + 1)
_INT32: Final = range(-(2**31), 2**31)
_DAY_MS: Final = 86_400_000


def _code(value: int) -> int:
    if value in _RESERVED or value not in _INT32:
        raise PydanticCustomError("code", "a reserved code")
    return value


def _ttl(value: int) -> int:
    if not 0 <= value <= _DAY_MS:
        raise PydanticCustomError("ttl", "out of range")
    return value


_Text = Annotated[str, StringConstraints(min_length=1)]


class WrapperSpec(BaseModel):
    """A tool that calls another."""

    model_config = STRICT

    tool: _Text = Field(description="the name of the wrapper")
    argument: _Text = Field(description="the argument that holds the name of the tool it calls")
    arguments: _Text | None = Field(
        None,
        description="the argument that holds what it calls it with; omitted: conditions on `mcp.arguments` are errors",
    )


class ServerInfoSpec(BaseModel):
    """What a server says it is."""

    model_config = STRICT

    name: _Text = Field(description="its name")
    version: _Text | None = Field(
        None, description="its version; omitted: empty, as where the Python SDK is given none"
    )


class SettingsSpec(BaseModel):
    """How messages of the policy's servers are treated. If several policies govern a server the safer value holds."""

    model_config = STRICT

    denials: Annotated[DenialStyle, Strict(strict=False)] | None = Field(
        None,
        description="`explicit` (default): a denied client is told so; `hidden`: it gets what the server says of what it does "
        "not have",
    )
    denial_code: Annotated[int, AfterValidator(_code)] | None = Field(
        None, description=f"JSON-RPC code of an explicit denial; default {DENIED_CODE}"
    )
    kind: Annotated[ServerKind, Strict(strict=False)] | None = Field(
        None, description="what the servers are made with, for hidden denials; default `python`"
    )
    json_responses: bool | None = Field(
        None,
        description="whether the servers answer with JSON where their kind by default answers with an event stream, for hidden "
        "denials; default false",
    )
    server_info: ServerInfoSpec | None = Field(
        None,
        description="what the servers say they are (`serverInfo`), for hidden denials: Python servers put it into every result of "
        "MCP 2026-07-28",
    )
    linked_resources: Annotated[LinkedResources, Strict(strict=False)] | None = Field(
        None,
        description="resources in a result that the principal may not read: `strip` them, `deny` the result, `pass` them; omitted: "
        "`strip` if some rule keeps a resource from being read, else `pass`",
    )
    trust_annotations: bool | None = Field(
        None,
        description="whether conditions may read the annotations that the servers have listed, those of tools in calls too",
    )
    wrappers: (
        Annotated[tuple[WrapperSpec, ...], Strict(strict=False), Field(min_length=1, max_length=MAX_WRAPPERS)] | None
    ) = Field(None, description="tools that call others; the inner tool must be granted too")
    accept_batches: bool | None = Field(
        None,
        description="whether arrays of messages are decided, each message (MCP 2025-03-26), or refused; default false",
    )
    lenient_uris: bool | None = Field(
        None,
        description="whether URIs that are not in canonical form are decided as they are written; default false: denied",
    )
    drop_instructions: bool | None = Field(
        None, description="whether the server's `instructions` for the model are taken out; default false"
    )
    max_ttl_ms: Annotated[int, AfterValidator(_ttl)] | None = Field(
        None,
        description=f"how many milliseconds clients may keep what depends on who asked; default {MAX_TTL_MS}",
    )

    def said(self) -> Said:
        """The settings that are there, by name."""
        found = {name: getattr(self, name) for name in self.model_fields_set}
        if self.wrappers is not None:
            found["wrappers"] = tuple(Wrapper(one.tool, one.argument, one.arguments or "") for one in self.wrappers)
        if self.server_info is not None:
            found["server_info"] = ServerInfo(self.server_info.name, self.server_info.version or "")
        return found
