"""A server that decides nothing: `python benchmarks/served.py parses|echoes|plain grpcio|envoy`, on a free port of loopback.

`parses` is the empty handler that the service is held against: the same request bytes parsed, and a constant answer, which
is what the service would answer. `echoes` shows what the host costs by itself. `plain` is that empty handler without our host: grpcio as
its documentation shows it.
"""

import asyncio
import gc
import os
import sys
from collections.abc import Sequence
from typing import Final

import grpc

from mcp_acl.adapters.grpc_api import SERVICE
from mcp_acl.adapters.handlers import Table
from mcp_acl.adapters.health import Health
from mcp_acl.adapters.table import for_gateways
from mcp_acl.bench.workloads import Shape, workload
from mcp_acl.gen import acl_pb2 as pb
from mcp_acl.hosts import envoy, grpcio
from mcp_acl.hosts.listening import Limits, Listener
from mcp_acl.policy.compiler import compile_policies
from mcp_acl.runtime.address import parse_address
from mcp_acl.runtime.gate import Gate

PLAIN: Final = "plain"
SHAPE: Final = Shape(conditions="arguments", matching=0)
"""What is asked; one rule is tried, as by whom we are compared with."""
CHECK: Final = f"/{SERVICE}/Check"


def table(kind: str) -> Table:
    """What is served under the path of Check."""
    if kind == "echoes":
        return {CHECK: lambda body: body}
    asked = workload(SHAPE, 1)
    decides = for_gateways(Gate(compile_policies(asked.policies)))[CHECK]
    assert callable(decides)
    answer = decides(asked.call.messages[0])
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
