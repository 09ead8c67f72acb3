"""The table that hosts serve: the path of each method, and its handler. Knows no host and no message.

Two tables, because two kinds of callers: gateways ask for decisions; people ask why, and what is in force, and are shown claims and
policy text.
"""

from functools import partial

from mcp_acl.adapters import grpc_api, reflection, streams
from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.adapters.handlers import Handler, Streaming, Table
from mcp_acl.runtime.gate import Gate


def for_gateways(gate: Gate) -> Table:
    """What decides and filters."""
    return _paths(
        {
            "Check": partial(grpc_api.check, gate),
            "CheckStream": Streaming(partial(streams.CheckSession, gate)),
            "FilterResponse": partial(grpc_api.filter_response, gate),
            "FilterStream": Streaming(partial(streams.FilterSession, gate)),
        }
    )


def for_people(gate: Gate) -> Table:
    """What explains; and reflection, for tools that know no interface beforehand."""
    return {
        **_paths({"Explain": partial(grpc_api.explain, gate), "GetPolicySet": partial(grpc_api.get_policy_set, gate)}),
        **dict.fromkeys(reflection.PATHS, Streaming(reflection.ReflectionSession)),
    }


def _paths(methods: dict[str, Handler]) -> Table:
    return {f"/{SERVICE}/{name}": handler for name, handler in methods.items()}
