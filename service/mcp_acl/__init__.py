"""mcp-acl: who may call which MCP tool, and who may even see it.

The library is what the service runs: compile policies, read a message, decide it, filter its response. Names are loaded when
they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import Any, Final

_HOMES: Final = {
    "Decision": "mcp_acl.domain",
    "Denial": "mcp_acl.domain",
    "Direction": "mcp_acl.domain",
    "Effect": "mcp_acl.domain",
    "Explanation": "mcp_acl.engine.explanation",
    "Filtered": "mcp_acl.engine.response",
    "Http": "mcp_acl.domain",
    "MessageError": "mcp_acl.problems",
    "PolicySet": "mcp_acl.policy.index",
    "Request": "mcp_acl.domain",
    "SourceError": "mcp_acl.problems",
    "SourceFile": "mcp_acl.policy.source",
    "TokenState": "mcp_acl.domain",
    "compile_policies": "mcp_acl.policy.compiler",
    "decide": "mcp_acl.engine.decision",
    "denial_for": "mcp_acl.engine.denial",
    "explain": "mcp_acl.engine.explanation",
    "filter_response": "mcp_acl.engine.response",
    "parse_message": "mcp_acl.mcp.message",
}

__all__ = [*_HOMES]  # noqa: PLE0604 - names, from a table of names


def __getattr__(name: str) -> Any:
    """A public name, from the module it is defined in."""
    if name not in _HOMES:
        raise AttributeError(f"module `mcp_acl` has no attribute `{name}`")
    return getattr(import_module(_HOMES[name]), name)
