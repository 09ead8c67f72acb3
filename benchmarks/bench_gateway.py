"""Measure what deciding adds to a call that goes through a real Envoy: `python benchmarks/bench_gateway.py [--quick] [--json FILE]`.

A call of a tool is sent by a schedule that waits for no answer, through Envoys that differ in one filter alone, to a server that answers at
once. README.md beside this file says what is measured.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console

from mcp_acl.bench.exchange import Post
from mcp_acl.bench.measuring import Loop, Run, Target, load, results_of, versions_in
from mcp_acl.bench.results import Results, write_results
from mcp_acl.bench.running import running
from mcp_acl.bench.table import table
from mcp_acl.bench.workloads import Shape, question, workload

ROOT: Final = Path(__file__).parents[1]
WITH_ENVOY: Final = os.environ.get("ENVOY_PYTHON", str(ROOT / ".venv-envoy/bin/python"))
"""A Python that has the extra `envoy`."""
SHAPE: Final = Shape(conditions="none")
RATE: Final = 500.0
CONNECTIONS: Final = 64
FILL: Final = 0.7
"""How much of what the slowest variant does at most is asked of all."""
_SECONDS: Final = 30.0
_TYPES: Final = "type.googleapis.com/envoy.extensions"
_ANSWER: Final = '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'


def message() -> bytes:
    body = question(SHAPE).message
    assert isinstance(body, bytes)
    return body


def post(path: str = "/mcp") -> Post:
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    return Post(path, message(), lambda body: body == _ANSWER.encode(), headers)


# ---- Envoy ----------------------------------------------------------------------------------------------------------


def typed(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": f"{_TYPES}.{kind}", **fields}}


def by_ext_authz() -> dict[str, Any]:
    return typed(
        "envoy.filters.http.ext_authz",
        "filters.http.ext_authz.v3.ExtAuthz",
        transport_api_version="V3",
        grpc_service=asked_service(),
        with_request_body={"max_request_bytes": 4194304, "allow_partial_message": False, "pack_as_bytes": True},
        encode_raw_headers=True,
        failure_mode_allow=False,
    )


def by_ext_proc() -> dict[str, Any]:
    return typed(
        "envoy.filters.http.ext_proc",
        "filters.http.ext_proc.v3.ExternalProcessor",
        grpc_service=asked_service(),
        failure_mode_allow=False,
        allow_mode_override=True,
        message_timeout="5s",
        processing_mode={
            "request_header_mode": "SEND", "request_body_mode": "BUFFERED", "request_trailer_mode": "SEND",
            "response_header_mode": "SEND", "response_body_mode": "STREAMED", "response_trailer_mode": "SEND",
        },
    )  # fmt: skip


def asked_service() -> dict[str, Any]:
    metadata = [{"key": "x-mcp-acl-server", "value": "bench"}]
    return {"envoy_grpc": {"cluster_name": "service"}, "timeout": "5s", "initial_metadata": metadata}


def by_rbac() -> list[dict[str, Any]]:
    """Envoy's own: the method and the tool's name as its MCP filter reads them, and a rule on both."""

    def said(path: Sequence[str], value: str) -> dict[str, Any]:
        keys = [{"key": key} for key in path]
        matcher = {"filter": "envoy.filters.http.mcp", "path": keys, "value": {"string_match": {"exact": value}}}
        return {"sourced_metadata": {"metadata_matcher": matcher}}

    rule = {"and_rules": {"rules": [said(["method"], "tools/call"), said(["params", "name"], "publish")]}}
    policies = {"call": {"permissions": [rule], "principals": [{"any": True}]}}
    return [
        typed("envoy.filters.http.mcp", "filters.http.mcp.v3.Mcp", traffic_mode="REJECT_NO_MCP"),
        typed("envoy.filters.http.rbac", "filters.http.rbac.v3.RBAC", rules={"action": "ALLOW", "policies": policies}),
    ]


def listener(filters: Sequence[Mapping[str, Any]], action: Mapping[str, Any]) -> dict[str, Any]:
    router = typed("envoy.filters.http.router", "filters.http.router.v3.Router")
    hosts = [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **action}]}]
    manager = typed(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="http",
        route_config={"virtual_hosts": hosts},
        http_filters=[*filters, router],
    )
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    return {"name": "http", "address": address, "filter_chains": [{"filters": [manager]}]}


def cluster(name: str, address: str, *, http2: bool = False) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    endpoint = {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(port)}}}}
    found = {"name": name, "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}}
    if http2:
        kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
        options = {"@type": f"type.googleapis.com/{kind}", "explicit_http_config": {"http2_protocol_options": {}}}
        found["typed_extension_protocol_options"] = {kind: options}
    return found


@contextmanager
def an_envoy(listening: Mapping[str, Any], clusters: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, int]]:
    """An Envoy that runs: its address and its process."""
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        config = {
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
            "static_resources": {"listeners": [listening], "clusters": clusters},
        }
        (directory / "config.json").write_text(json.dumps(config))
        flags = ["--concurrency", "1", "--use-dynamic-base-id", "-l", "error"]
        command = [envoy(), "-c", directory / "config.json", "--admin-address-path", directory / "admin", *flags]
        with subprocess.Popen(command, env={"PATH": os.environ["PATH"]}) as process:
            try:
                yield f"127.0.0.1:{port_of(process, directory / 'admin')}", process.pid
            finally:
                process.terminate()


def envoy() -> str:
    found = next(Path(WITH_ENVOY).parents[1].glob("lib/python*/site-packages/envoy/_bin/envoy"), None)
    return str(found) if found else sys.exit(f"there is no Envoy beside {WITH_ENVOY}: run `make setup`")


def port_of(process: "subprocess.Popen[bytes]", admin: Path) -> int:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end and process.poll() is None:
        if admin.exists() and (address := admin.read_text()):
            with urllib.request.urlopen(f"http://{address}/listeners?format=json") as answer:
                for status in json.load(answer).get("listener_statuses", ()):
                    return int(status["local_address"]["socket_address"]["port_value"])
        time.sleep(0.05)
    sys.exit("Envoy did not start")


# ---- variants -------------------------------------------------------------------------------------------------------


def variants(ending: ExitStack) -> Iterator[Target]:
    """Each with all the processes that it needs, but for the server behind it, which is one for all."""
    upstream, _ = ending.enter_context(
        an_envoy(
            listener((), {"direct_response": {"status": 200, "body": {"inline_string": _ANSWER}}, **json_type()}), ()
        )
    )
    forward = {"route": {"cluster": "upstream"}}
    behind = cluster("upstream", upstream)
    yield target("no filter", *ending.enter_context(an_envoy(listener((), forward), [behind])))
    yield target("Envoy's MCP filter and RBAC", *ending.enter_context(an_envoy(listener(by_rbac(), forward), [behind])))
    policies = workload(SHAPE, 1).policies
    for host, python in (("grpcio", sys.executable), ("envoy", WITH_ENVOY)):
        service = ending.enter_context(running(host, policies, python))
        clusters = [behind, cluster("service", service.address, http2=True)]
        for name, one in (("ext_authz", by_ext_authz()), ("ext_proc", by_ext_proc())):
            address, pid = ending.enter_context(an_envoy(listener([one], forward), clusters))
            yield target(f"{name}, host {host}", address, pid, service.pid)
    for name, python, flags in (("two processes", sys.executable, ()), ("one process", WITH_ENVOY, ("--one-process",))):
        address, pid = ending.enter_context(command(python, upstream, flags))
        yield target(f"mcp-acl gateway, {name}", address, pid)


def json_type() -> dict[str, Any]:
    return {"response_headers_to_add": [{"header": {"key": "content-type", "value": "application/json"}}]}


def target(name: str, address: str, *pids: int) -> Target:
    return Target(name, {"variant": name}, address, post("/bench/mcp" if "gateway" in name else "/mcp"), pids)


@contextmanager
def command(python: str, upstream: str, flags: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The gateway that is one command."""
    with tempfile.TemporaryDirectory() as made, socket.socket() as free:
        policies = Path(made) / "policies"
        policies.mkdir()
        for file in workload(SHAPE, 1).policies:
            (policies / file.name).write_bytes(file.content)
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        free.close()
        given = [
            "--policies",
            str(policies),
            "--upstream",
            f"bench=http://{upstream}/mcp",
            "--listen",
            address,
            "--json",
        ]
        full = [python, "-P", "-m", "mcp_acl", "gateway", *given, *(flags or ("--envoy", envoy()))]
        said = Path(made) / "said"
        # It tells every decision: to a file, as somebody who keeps them would have it.
        with said.open("wb") as out, subprocess.Popen(full, stdout=out) as process:
            try:
                while b"\n" not in said.read_bytes() and process.poll() is None:
                    time.sleep(0.05)
                if process.poll() is not None:
                    sys.exit("the gateway did not start")
                yield address, process.pid
            finally:
                process.terminate()


# ---- the run --------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds; the figures are rough")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round of every figure")
    chosen = parser.parse_args()
    rounds, seconds = (2, 1.0) if chosen.quick else (5, 8.0)
    before = load()
    with ExitStack() as ending:
        targets = tuple(variants(ending))
        full = Run(targets, Loop(in_flight=CONNECTIONS, connections=CONNECTIONS, seconds=seconds / 2))
        full.measure(1, lambda step: print(f"{step.name}: {step.round.rate:,.0f} a second at most", file=sys.stderr))
        most = FILL * min(case.rounds[0].rate for case in full.cases())
        runs = [at(targets, rate, rounds, seconds) for rate in (RATE, most)]
    results = together(runs, before)
    Console(width=120).print(table(results))
    if chosen.json:
        write_results(results, chosen.json)
    return 0


def at(targets: Sequence[Target], rate: float, rounds: int, seconds: float) -> Run:
    rate = round(rate, -1)
    named = [replace(one, name=f"{one.name}, {rate:,.0f}/s", facts={**one.facts, "rate": rate}) for one in targets]
    run = Run(named, Loop(connections=CONNECTIONS, rate=rate, seconds=seconds))
    run.measure(rounds, lambda step: print(f"round {step.number}: {step.name}", file=sys.stderr))
    return run


def together(runs: Sequence[Run], before: tuple[float, ...]) -> Results:
    """One run of several."""
    first = results_of(runs[0], sys.argv, before, versions_in(WITH_ENVOY))
    cases = tuple(case for run in runs for case in run.cases())
    return msgspec.structs.replace(first, cases=cases, notes=tuple(note for run in runs for note in run.told()))


if __name__ == "__main__":
    sys.exit(main())
