"""What the process outside tells the Python inside Envoy: by an environment variable at the start, by a pipe from then on.

The pipe is also the sign of life of the one outside: when it closes, the one inside ends itself.
"""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Final, NamedTuple

from mcp_acl.adapters.handlers import Table
from mcp_acl.adapters.health import Health
from mcp_acl.hosts.listening import Limits
from mcp_acl.hosts.together import ALONE

VARIABLE: Final = "_MCP_ACL_INSIDE"
DRAIN: Final = b"d"
"""From here on health says NOT_SERVING, and watchers of it are let go."""
REFUSE: Final = b"r"
"""From here on calls are refused, and streams that wait for their client are ended."""
END_SECONDS: Final = 5.0
"""How long, in seconds, calls may take to end once no more are taken, and then Envoy."""

PROBE: Final = "/probe"
"""The root of the listener that nobody but the process outside reaches."""
RAISES: Final = "/mcp_acl.Probe/Raises"
RAISES_LATER: Final = "/mcp_acl.Probe/RaisesLater"
NOT_A_PATH: Final = "/mcp_acl.Probe/%ff"
"""What the server, and not the handlers, must answer: an error of the application before and after it starts, a path that is none."""


class Served(NamedTuple):
    """What the function that is named to the host returns: a table for each listener, in their order, the health of all, and a `Listener.batch`."""

    tables: Sequence[Table]
    health: Health
    batch: AbstractContextManager[object] = ALONE


@dataclass(frozen=True, slots=True)
class Told:
    """`factory`: `module:function`, which returns a `Served`. `directory`: what the one inside removes when it is left alone, because keys are in it."""

    factory: str
    limits: Limits
    listeners: int
    directory: str = ""
    pipe: int = -1

    def as_text(self) -> str:
        """For the variable."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> "Told":
        """From the variable."""
        fields = json.loads(text)
        return cls(**{**fields, "limits": Limits(**fields["limits"])})


def root(number: int) -> str:
    """The root path that says, in a call's scope, which listener it came by."""
    return f"/{number}"
