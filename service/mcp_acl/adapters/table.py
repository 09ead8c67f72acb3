"""The table that hosts serve: the path of each method, and its handler. Knows no host and no message.

Two tables, because two kinds of callers: gateways ask for decisions; people ask why, and what is in force, and are shown claims and
policy text.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from mcp_acl.adapters import explaining, ext_authz, ext_mcp, ext_proc_session, grpc_api, reflection, streams
from mcp_acl.adapters.facts import Sources
from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.adapters.handlers import Handler, Informed, Streaming, Table, Traced
from mcp_acl.runtime.gate import Gate
from mcp_acl.runtime.observed import ObservedGate


@dataclass(frozen=True, slots=True)
class Gateways:
    """How the gateways are set up that speak an interface which is not ours. Beside `sources`, settings of the same names."""

    sources: Sources = field(default_factory=Sources)
    filtered_behind: bool = False
    early_close: bool = True


_AS_EVER: Final = Gateways()


def for_gateways(gate: Gate, gateways: Gateways = _AS_EVER) -> Table:
    """What decides and filters: the native interface, and those of Envoy and agentgateway."""
    native: dict[str, Handler] = {
        "Check": _watched(gate, grpc_api.check),
        "CheckStream": Streaming(partial(streams.CheckSession, gate)),
        "FilterResponse": _watched(gate, grpc_api.filter_response),
        "FilterStream": Streaming(partial(streams.FilterSession, gate)),
    }
    authz = partial(ext_authz.check, gate, gateways.sources, gateways.filtered_behind)
    ext_proc = partial(ext_proc_session.ExtProcSession, gate, gateways.sources, early_close=gateways.early_close)
    return {
        **_paths(native),
        f"/{ext_authz.SERVICE}/Check": Informed(authz),
        ext_proc_session.PATH: Streaming(ext_proc),
        f"/{ext_mcp.SERVICE}/CheckRequest": Informed(partial(ext_mcp.check_request, gate, gateways.sources)),
        f"/{ext_mcp.SERVICE}/CheckResponse": Informed(partial(ext_mcp.check_response, gate, gateways.sources)),
    }


def for_people(gate: Gate, gateways: Gateways = _AS_EVER) -> Table:
    """What explains; and reflection, for tools that know no interface beforehand."""
    explain = partial(explaining.explain, gate, gateways.sources, gateways.filtered_behind)
    return {
        **_paths({"Explain": explain, "GetPolicySet": partial(grpc_api.get_policy_set, gate)}),
        **dict.fromkeys(reflection.PATHS, Streaming(reflection.ReflectionSession)),
    }


def _watched(gate: Gate, answer: Callable[[Gate, bytes, str], bytes]) -> Handler:
    """A handler of one message, which is told the trace of its call if somebody watches."""
    if isinstance(gate, ObservedGate):
        return Traced(lambda trace, body: answer(gate, body, trace))
    return lambda body: answer(gate, body, "")


def _paths(methods: dict[str, Handler]) -> Table:
    return {f"/{SERVICE}/{name}": handler for name, handler in methods.items()}
