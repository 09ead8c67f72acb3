"""What the Python inside Envoy serves where that Envoy is the gateway too: the service, watched through a pipe. Knows no listener."""

import os
from typing import Final

from mcp_acl.gateway.passing import sender
from mcp_acl.gateway.watching import Watcher
from mcp_acl.hosts.envoy import Served
from mcp_acl.server import inside_envoy

FACTORY: Final = "mcp_acl.gateway.inside:served"
DECISIONS: Final = "_MCP_ACL_DECISIONS"
"""The variable that says by which descriptor decisions are told."""


def served() -> Served:
    """As `serve` does in Envoy, and each answer is told."""
    return inside_envoy([Watcher(sender(int(os.environ[DECISIONS])))])
