"""A server to measure: `python benchmarks/served.py decides|parses|echoes|plain grpcio|envoy`, on a free port of loopback.

`decides` is the service. `parses` is the empty handler it is held against: the same request bytes parsed, and a constant answer, which
is what the service would answer. `echoes` shows what the host costs by itself. `plain` is that empty handler without our host: grpcio as
its documentation shows it.
"""

import asyncio
import gc
import json
import os
import sys
from collections.abc import Sequence
from typing import Final

import grpc
import workloads as work

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.adapters.handlers import Table
from mcp_acl.adapters.health import Health
from mcp_acl.adapters.table import for_gateways
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.hosts import envoy, grpcio
from mcp_acl.hosts.listening import Limits, Listener
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.runtime.address import parse_address
from mcp_acl.runtime.gate import Gate

PLAIN: Final = "plain"
CHECK: Final = f"/{SERVICE}/Check"


def check_request() -> bytes:
    """One call of a tool, as a gateway asks about it: the body as it came, the claims, some headers."""
    headers = {
        "content-type": ["application/json"],
        "accept": ["application/json, text/event-stream"],
        "mcp-protocol-version": ["2025-11-25"],
        "mcp-session-id": ["5c2f2a4e-2b1c-4a0d-9a55-3f7f0a6c1d11"],
        "user-agent": ["agent/1.0"],
    }
    return pb.CheckRequest(
        server=work.SERVER,
        direction=pb.DIRECTION_CLIENT_TO_SERVER,
        raw=work.FAST_BODY,
        principal=pb.Principal(claims_json=json.dumps(work.CLAIMS).encode(), token=pb.TOKEN_STATE_VALID),
        http=pb.Http(path="/mcp", headers=[pb.Header(name=name, values=values) for name, values in headers.items()]),
        filters_responses=True,
    ).SerializeToString()


def table(kind: str) -> Table:
    """What is served under the path of Check."""
    if kind == "echoes":
        return {CHECK: lambda body: body}
    decides = for_gateways(Gate(compile_policies(work.fast_policies("cel"))))[CHECK]
    assert callable(decides)
    if kind == "decides":
        return {CHECK: decides}
    answer = decides(check_request())
    assert pb.CheckResponse.FromString(answer).decision == pb.DECISION_ALLOW

    def parses(body: bytes) -> bytes:
        pb.CheckRequest.FromString(body)
        return answer

    return {CHECK: parses}


async def plain() -> None:
    """The empty handler on grpcio alone."""
    parses = table("parses")[CHECK]
    assert callable(parses)

    async def answer(body: bytes, _: object) -> bytes:
        return parses(body)

    method = grpc.unary_unary_rpc_method_handler(answer)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Check": method})])
    port = server.add_insecure_port("127.0.0.1:0")
    gc.freeze()
    await server.start()
    ready([f"127.0.0.1:{port}"])
    await server.wait_for_termination()


def inside() -> envoy.Served:
    """What Envoy serves."""
    served = table(os.environ["KIND"])
    gc.freeze()
    return envoy.Served([served], Health())


def ready(bound: Sequence[str]) -> None:
    print(f"listening on {bound[0]}", flush=True)


def main() -> None:
    import uvloop  # noqa: PLC0415 - as the service does

    kind, host = sys.argv[1:]
    if kind == PLAIN:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(plain())
        return
    listener = Listener(parse_address("127.0.0.1:0"), table(kind))
    if host == "envoy":
        engine = envoy.Engine("served:inside", {"KIND": kind})
        asyncio.run(envoy.run([listener], Limits(), engine, 0.0, ready))
        return
    gc.freeze()  # as the service does
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(grpcio.run([listener], Limits(), Health(), 0.0, ready))


if __name__ == "__main__":
    main()
